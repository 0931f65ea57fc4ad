/** Growing an overlay with preallocation: what lies in the backing file behind its old end must not show (QEMU's test 271). */
import { join } from 'node:path';
import { statSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platterIn } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

beforeAll(() => {
  qemuImg(folder, 'create', '-q', '-f', 'raw', 'base.raw', '1M');
  qemuIo(folder, 'raw', 'base.raw', 'write -P 0xff 0 1M');
});

it.each(
  ['on', 'off'].flatMap((extended) => ['off', 'metadata', 'falloc', 'full'].map((mode) => [extended, mode])),
)('extended_l2=%s preallocation=%s', async (extended, mode) => {
  for (const name of ['ours', 'theirs'])
    qemuImg(
      folder,
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      `extended_l2=${extended}`,
      '-F',
      'raw',
      '-b',
      'base.raw',
      name,
      '503k',
    );
  const ran = await platterIn(folder, ['resize', '-q', '--follow', '--preallocation', mode, 'ours', '1013k']);
  expect([ran.code, ran.err]).toEqual([0, '']);
  qemuImg(folder, 'resize', '-q', `--preallocation=${mode}`, 'theirs', '1013k');
  expect(qemuImg(folder, 'compare', 'ours', 'theirs')).toContain('identical');
  expect(qemuImg(folder, 'check', 'ours')).toContain('No errors were found');
  // As many clusters have their place, so that writing there later moves nothing.
  if (mode !== 'off') expect(Math.ceil(size('ours') / 65536)).toBe(Math.ceil(size('theirs') / 65536));
});

const size = (name: string): number => statSync(join(folder, name)).size;
