/** Our layout of objects that qemu-img itself made, held against qemu-img's own. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { infoText } from './info-text.ts';
import { qemuJson, type QemuObject, type QemuValue } from './order.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const LUKS = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';

const make: Record<string, () => void> = {
  'plain.qcow2': () => qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'plain.qcow2', '64M'),
  'old.qcow2': () => qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10', 'old.qcow2', '10M'),
  'data-file.qcow2': () =>
    qemuImg(
      folder,
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      'data_file=d.raw,data_file_raw=on',
      'data-file.qcow2',
      '1M',
    ),
  'bitmaps.qcow2': () => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'bitmaps.qcow2', '1M');
    for (const name of ['one', 'two']) qemuImg(folder, 'bitmap', '--add', 'bitmaps.qcow2', name);
  },
  'snapshots.qcow2': () => {
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'snapshots.qcow2', '1M');
    for (const name of ['first', 'a name that is longer than its column'])
      qemuImg(folder, 'snapshot', '-c', name, 'snapshots.qcow2');
  },
  'encrypted.qcow2': () =>
    qemuImg(
      folder,
      'create',
      '-q',
      '--object',
      'secret,id=s,data=abc',
      '-f',
      'qcow2',
      '-o',
      LUKS,
      'encrypted.qcow2',
      '1M',
    ),
  'ünï "quoted"\t.qcow2': () => qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'ünï "quoted"\t.qcow2', '1M'),
  'overlay.qcow2': () =>
    qemuImg(
      folder,
      'create',
      '-q',
      '-f',
      'qcow2',
      '-u',
      '-b',
      'sub/plain.qcow2',
      '-F',
      'qcow2',
      'overlay.qcow2',
      '3M',
    ),
  'odd.raw': () => qemuImg(folder, 'create', '-q', '-f', 'raw', 'odd.raw', '1049'),
  'x.vmdk': () => qemuImg(folder, 'create', '-q', '-f', 'vmdk', 'x.vmdk', '10G'),
  'x.vpc': () => qemuImg(folder, 'create', '-q', '-f', 'vpc', 'x.vpc', '4M'),
  'x.parallels': () => qemuImg(folder, 'create', '-q', '-f', 'parallels', 'x.parallels', '4M'),
};

beforeAll(() => {
  for (const create of Object.values(make)) create();
});

/** The same value with the members of every object in another order. */
function shuffled(value: QemuValue): QemuValue {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, shuffled(member)]),
  );
}

describe.each(Object.keys(make))('%s', (image) => {
  const read = (): string => qemuImg(folder, 'info', '--output=json', image);

  it('has its members in the order of QEMU', () => {
    expect(`${qemuJson(shuffled(JSON.parse(read())))}\n`).toBe(read());
  });

  it('reads as qemu-img writes it', () => {
    expect(infoText(shuffled(JSON.parse(read())) as QemuObject)).toBe(qemuImg(folder, 'info', image));
  });
});
