/**
 * `npm run bench [-- words…]`: runs the measurements whose file name contains one of the words (all without words), each in a process
 * of its own so that none disturbs the next, and prints a line for each comparison. Exit code 1 when one could not be measured.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, type Bench } from './bench.ts';

const ENDING = '.bench.ts';

/** Measures one file in this process. */
async function measure(file: string): Promise<void> {
  const bench = (await import(pathToFileURL(file).href)) as Bench;
  let lines = 0;
  await bench.run((line) => {
    lines += 1;
    console.log(format(bench.name, line));
  });
  if (lines === 0) throw new Error(`${file} reported nothing`);
}

/** Measures each in its own process; answers how many failed. */
function measureAll(files: readonly string[]): number {
  const failed = files.filter((file) => {
    const { status } = spawnSync(
      process.execPath,
      [...process.execArgv, fileURLToPath(import.meta.url), '--file', file],
      { stdio: 'inherit' },
    );
    return status !== 0;
  });
  for (const file of failed) console.error(`could not be measured: ${file}`);
  return failed.length;
}

const words = process.argv.slice(2);
if (words[0] === '--file') {
  await measure(words[1]);
} else {
  const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith(ENDING));
  const chosen = names
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .toSorted();
  if (chosen.length === 0) {
    console.error(
      `no measurement is called so; there are: ${names.map((name) => name.slice(0, -ENDING.length)).join(', ')}`,
    );
    process.exitCode = 1;
  } else if (measureAll(chosen.map((name) => join(import.meta.dirname, name))) > 0) process.exitCode = 1;
}
