/** What the converter writes is a line that QEMU takes, with the same devices over the same files. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toBlockdev } from '../../engine/qemu/convert/blockdev.ts';
import { toLongOptions } from '../../engine/qemu/convert/long.ts';
import { toScript } from '../../engine/qemu/convert/script.ts';
import { lint } from '../../engine/qemu/lint.ts';
import { parseCommandLine } from '../../engine/qemu/parse.ts';
import { storageModel } from '../../engine/qemu/storage-model.ts';
import { installedQemu, makeImages, tryLine } from './qemu.ts';
import { context } from './rule-context.ts';
import { CLEAN_LINES } from './clean-lines.ts';

const version = installedQemu();
if (version !== '7.2')
  console.log(`Conversions are tried with QEMU 7.2 only; ${version ?? 'none'} is installed here.`);

const files = (line: string): string[] =>
  storageModel(parseCommandLine(line))
    .line.options.flatMap((o) =>
      o.params.filter((p) => /(?:^|\.)(?:file|filename)$/.test(p.key)).map((p) => p.value),
    )
    .filter((name) => /\.(?:raw|qcow2)$/.test(name))
    .toSorted();

describe.skipIf(version !== '7.2')('conversions with QEMU 7.2', () => {
  let images: ReturnType<typeof makeImages>;
  beforeAll(() => {
    images = makeImages();
  });
  afterAll(() => images.remove());

  it.each(CLEAN_LINES.filter((l) => l.includes('-drive') || l.includes('-hda')))('%s', async (line) => {
    const long = toLongOptions(parseCommandLine(line)).text;
    const { text } = toBlockdev(parseCommandLine(long));
    expect(
      lint(parseCommandLine(`-nodefaults ${text}`), context).filter((p) => p.severity === 'error'),
    ).toEqual([]);
    expect(await tryLine(text, images.folder)).toMatchObject({ accepted: true });
    expect(files(text)).toEqual(files(long));
    const script = parseCommandLine(toScript(parseCommandLine(line)).text.replace(/^[^]*exec /, ''));
    expect(script.options.map((o) => o.argument)).toEqual(
      parseCommandLine(line).options.map((o) => o.argument),
    );
  });
});
