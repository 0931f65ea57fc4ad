/** Writes a trace as JSON lines: to a temporary file beside its name, which then takes its place. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { PlatterError } from '#engine/errors.ts';
import { systemReason } from '../frame/text-file.ts';

/** Characters written at a time. */
const CHUNK = 1 << 20;

/** Throws `cli.cannot-write`. */
export function saveLines(path: string, lines: Iterable<string>): void {
  const temporary = `${path}.part`;
  try {
    const file = openSync(temporary, 'w');
    try {
      let text = '';
      const write = (): void => {
        for (let bytes = Buffer.from(text); bytes.length > 0;) bytes = bytes.subarray(writeSync(file, bytes));
        text = '';
      };
      for (const line of lines) {
        text += `${line}\n`;
        if (text.length >= CHUNK) write();
      }
      write();
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new PlatterError(
      'cli.cannot-write',
      `cannot write ${path}: ${systemReason(error)}`,
      { image: path },
      error,
    );
  }
}
