/** `platter resize --preallocation` beside `qemu-img resize`. */
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);
const DONE = { code: 0, out: 'Image resized.\n', err: '' };

it.each([
  ['metadata', ''],
  ['full', 'cluster_size=4k'],
  ['falloc', 'extended_l2=on'],
])('qcow2 %s %s', async (mode, options) => {
  for (const name of ['ours', 'theirs']) {
    const more = options === '' ? [] : ['-o', options];
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', ...more, name, '3000K');
    qemuIo(folder, 'qcow2', name, 'write -P 1 2M 900k');
  }
  expect(await platter(['resize', '--preallocation', mode, at('ours'), '8M'])).toEqual(DONE);
  qemuImg(folder, 'resize', '-f', 'qcow2', `--preallocation=${mode}`, 'theirs', '8M');
  expect(qemuImg(folder, 'compare', 'ours', 'theirs')).toContain('identical');
  expect(qemuImg(folder, 'check', 'ours')).toContain('No errors were found');
  const clusters = (name: string): unknown =>
    JSON.parse(qemuImg(folder, 'check', '--output=json', name))['allocated-clusters'];
  expect(clusters('ours')).toBe(clusters('theirs'));
  if (mode !== 'metadata') expect(statSync(at('ours')).blocks * 512).toBeGreaterThan(5 << 20);
});

it('raw takes the space, and what cannot be leaves the size as it is', async () => {
  writeFileSync(at('disk.raw'), new Uint8Array(1 << 20));
  expect(await platter(['resize', '-f', 'raw', '--preallocation', 'full', at('disk.raw'), '4M'])).toEqual(
    DONE,
  );
  expect(statSync(at('disk.raw')).blocks * 512).toBeGreaterThanOrEqual(4 << 20);
  const no = await platter(['resize', '-f', 'raw', '--preallocation', 'metadata', at('disk.raw'), '8M']);
  expect([no.code, statSync(at('disk.raw')).size]).toEqual([1, 4 << 20]);
  const small = await platter([
    'resize',
    '--shrink',
    '--preallocation',
    'full',
    '-f',
    'raw',
    at('disk.raw'),
    '1M',
  ]);
  expect([small.code, statSync(at('disk.raw')).size]).toEqual([1, 4 << 20]);
});
