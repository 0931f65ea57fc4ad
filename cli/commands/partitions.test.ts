/** `partitions` against sfdisk, and a partition of an image opened as a disk of its own against qemu-img. */
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';
import { platterIn } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const MIB = 1 << 20;

beforeAll(() => {
  for (const [name, script] of [
    [
      'gpt.raw',
      'label: gpt\nsize=4MiB,type=uefi,name="boot\u001b[31m"\nsize=10MiB,attrs=LegacyBIOSBootable\n',
    ],
    [
      'dos.raw',
      'label: dos\nsize=2MiB,type=83,bootable\nsize=20MiB,type=5\nsize=3MiB\nsize=2MiB,type=82\nsize=4MiB',
    ],
  ]) {
    writeFileSync(join(folder, name), '');
    truncateSync(join(folder, name), 32 * MIB);
    execFileSync('sfdisk', ['--quiet', name], { cwd: folder, input: script, stdio: 'pipe' });
  }
  qemuImg(folder, 'convert', '-O', 'qcow2', 'gpt.raw', 'gpt.qcow2');
  qemuImg(folder, 'create', '-q', '-f', 'raw', 'none.raw', '1M');
});

it.each(['gpt.raw', 'dos.raw'])('%s: the members of sfdisk --json', async (name) => {
  const ran = await platterIn(folder, ['partitions', '--json', '-f', 'raw', name]);
  const theirs = JSON.parse(
    execFileSync('sfdisk', ['--json', name], { cwd: folder, encoding: 'utf8', stdio: 'pipe' }),
  ) as {
    partitiontable: { partitions: { name?: string; node: string }[]; firstlba?: number; lastlba?: number };
  };
  const { partitiontable: table } = theirs;
  delete table.firstlba;
  delete table.lastlba;
  table.partitions.sort((a, b) => a.node.localeCompare(b.node));
  expect(JSON.parse(ran.out)).toEqual({ partitiontable: { ...table, problems: [] } });
  expect([ran.code, ran.err]).toEqual([0, '']);
});

it('prints a table that no name can break', async () => {
  const ran = await platterIn(folder, ['partitions', 'gpt.qcow2']);
  expect(ran.out.split('\n').slice(1)).toEqual([
    'No.  Boot  Start  Sectors    Size  Type and name',
    '1           2048     8192   4 MiB  EFI system: boot\uFFFD[31m',
    '2    *     10240    20480  10 MiB  Linux filesystem',
    '',
  ]);
});

it('opens one of them as its help says: the same bytes as qemu-img', async () => {
  qemuIo(folder, 'qcow2', 'gpt.qcow2', 'write -P 7 5M 64k');
  const opts = `driver=raw,offset=${5 * MIB},size=${10 * MIB},file.driver=qcow2,file.file.filename=gpt.qcow2`;
  const ran = await platterIn(folder, ['convert', '--image-opts', '-O', 'raw', opts, 'ours.raw']);
  expect([ran.code, ran.err]).toEqual([0, '']);
  qemuImg(folder, 'convert', '--image-opts', '-O', 'raw', opts, 'theirs.raw');
  expect(readFileSync(join(folder, 'ours.raw')).equals(readFileSync(join(folder, 'theirs.raw')))).toBe(true);
  expect(readFileSync(join(folder, 'ours.raw'))[0]).toBe(7);
});

it('tells a disk without a table, and one whose table is damaged', async () => {
  const none = await platterIn(folder, ['partitions', '-f', 'raw', 'none.raw']);
  expect([none.code, none.out, none.err]).toEqual([
    1,
    '',
    'platter: none.raw: the disk has no partition table\n',
  ]);
  const bytes = readFileSync(join(folder, 'gpt.raw'));
  bytes.fill(0, bytes.length - 512);
  writeFileSync(join(folder, 'damaged.raw'), bytes);
  const damaged = await platterIn(folder, ['partitions', '-f', 'raw', 'damaged.raw']);
  expect(damaged.code).toBe(3);
  expect(damaged.err).toMatch(/^platter: damaged\.raw: There is no copy of the GPT in the last sector/);
});
