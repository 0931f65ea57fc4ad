/** Images that QEMU wrote: read byte for byte, and told as qemu-img tells them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allowAll } from '../../gate.ts';
import { checkImage } from '../../check.ts';
import { openImage, type OpenedImage } from '../../graph.ts';
import { mapPage } from '../../map.ts';
import { same } from '../../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../../testing/qemu.ts';
import {
  asQemuCheck,
  asQemuInfo,
  asQemuMap,
  comparableCheck,
  comparableInfo,
  qemuInfo,
  qemuMap,
} from '../../testing/qemu-fields.ts';

const at = testFolder();

/** Opens read-only, chain included; compares contents, info, map and check with qemu-img. */
async function compareWithQemu(path: string): Promise<OpenedImage> {
  const image = await openImage(path, { gate: allowAll });
  qemuImg('convert', '-O', 'raw', path, at('out.raw'));
  const theirs = readFileSync(at('out.raw'));
  const ours = new Uint8Array(image.node.virtualSize);
  await image.node.read(0, ours);
  expect(ours.length).toBe(theirs.length);
  expect(same(ours, theirs)).toBe(true);
  expect(asQemuInfo(image.info)).toEqual(comparableInfo(qemuInfo(path)));
  expect(asQemuMap((await mapPage(image.node)).extents)).toEqual(qemuMap(path));
  expect(asQemuCheck(await checkImage(image.node))).toEqual(comparableCheck(qemuCheck(path)));
  return image;
}

/** A bit of everything that qemu-io can do to an image of 8 MiB. */
const WORKLOAD = [
  'write -P 1 0 100k',
  'write -P 2 1M 1M',
  'write -P 3 3000k 5000',
  'write -z 2M 256k',
  'write -z -u 1200k 128k',
  'discard 64k 64k',
  'write -P 4 7M 1M',
  'write -z 4M 32k',
];

const OPTIONS = [
  'compat=0.10',
  'compat=1.1',
  'cluster_size=512',
  'cluster_size=4k',
  'cluster_size=2M',
  ...[1, 2, 4, 8, 32, 64].map((bits) => `refcount_bits=${bits}`),
  'lazy_refcounts=on',
  'extended_l2=on',
  'extended_l2=on,cluster_size=16k',
  'compression_type=zstd',
];

describe.each(OPTIONS)('%s', (options) => {
  it('plain and zero clusters', async () => {
    const path = at('plain.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '8M');
    qemuIo(path, ...WORKLOAD);
    await (await compareWithQemu(path)).node.close();
  });

  it('compressed clusters', async () => {
    const raw = at('source.raw');
    const source = new Uint8Array(4 << 20).map((_, index) => (index >> 10) * 7 + (index % 3));
    writeFileSync(raw, source);
    const path = at('packed.qcow2');
    qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, path);
    const { node } = await compareWithQemu(path);
    const part = new Uint8Array(3000);
    await node.read(1_000_000, part);
    expect(same(part, source.subarray(1_000_000, 1_003_000))).toBe(true);
    await node.close();
  });

  it('a backing chain whose images differ in size', async () => {
    const [base, middle, top] = [at('base.qcow2'), at('middle.qcow2'), at('top.qcow2')];
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, base, '3M');
    qemuIo(base, 'write -P 1 0 2M', 'write -z 1M 64k');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', middle, '8M');
    qemuIo(middle, 'write -P 2 64k 100k', 'write -z 256k 64k');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, '-b', 'middle.qcow2', '-F', 'qcow2', top, '8M');
    qemuIo(top, 'write -P 3 128k 1000', 'write -P 4 5M 64k', 'write -z 1M 128k', 'discard 64k 64k');
    const { node, info } = await compareWithQemu(top);
    expect(info.backing?.name).toBe('middle.qcow2');
    expect(info.backing?.backing?.name).toBe('base.qcow2');
    await node.close();
  });

  it('internal snapshots', async () => {
    const path = at('snapshots.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '8M');
    if (options === 'refcount_bits=1') {
      expect(() => qemuImg('snapshot', '-c', 'no', path)).not.toThrow();
      return;
    }
    qemuIo(path, ...WORKLOAD);
    qemuImg('snapshot', '-c', 'first', path);
    qemuIo(path, 'write -P 9 0 200k', 'write -z 2M 1M');
    qemuImg('snapshot', '-c', 'zweiter Stand', path);
    qemuIo(path, 'write -P 10 1M 64k');
    const { node, info } = await compareWithQemu(path);
    expect(info.snapshots.map(({ name }) => name)).toEqual(['first', 'zweiter Stand']);
    await node.close();
  });
});

it('an external data file', async () => {
  for (const raw of ['off', 'on']) {
    const path = at(`external-${raw}.qcow2`);
    const data = at(`data-${raw}.raw`);
    const options = `data_file=${data},data_file_raw=${raw}`;
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '8M');
    qemuIo(path, ...WORKLOAD);
    const { node, info } = await compareWithQemu(path);
    expect(info.formatSpecific['data-file']).toBe(data);
    await node.close();
  }
});

it('preallocated metadata, and sizes that end within a cluster', async () => {
  const path = at('prealloc.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'preallocation=full', path, '3000k');
  qemuIo(path, 'write -P 7 2990k 10k');
  await (await compareWithQemu(path)).node.close();
});

it('what was damaged counts as qemu-img counts it', async () => {
  const path = at('damaged.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', path, '8M');
  qemuIo(path, ...WORKLOAD);
  const bytes = readFileSync(path);
  const l1 = Number(bytes.readBigUInt64BE(40));
  const l2 = Number(bytes.readBigUInt64BE(l1) & 0x00ff_ffff_ffff_fe00n);
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
  const damages: [string, () => void][] = [
    ['a leak', () => bytes.writeUInt16BE(1, block + 2 * 40)],
    ['a count too small', () => bytes.writeUInt16BE(0, block + 2 * 6)],
    ['a count too large', () => bytes.writeUInt16BE(3, block + 2 * 7)],
    ['two entries for one cluster', () => bytes.copy(bytes, l2 + 8 * 50, l2, l2 + 8)],
    ['an unaligned cluster', () => bytes.writeUInt32BE(0x8000_0000, l2 + 8 * 51)],
    ['', () => bytes.writeUInt32BE(0x0005_1200, l2 + 8 * 51 + 4)],
    ['a cluster past the end', () => bytes.writeBigUInt64BE(0x8000_0000_4000_0000n, l2 + 8 * 52)],
    ['reserved bits', () => bytes.writeBigUInt64BE(0x2000_0000_0000_0010n, l2 + 8 * 53)],
    ['a missing copied flag', () => bytes.writeUInt8(0, l2 + 8 * 16)],
  ];
  for (const [, damage] of damages) {
    damage();
    writeFileSync(path, bytes);
    const { node } = await openImage(path);
    expect(asQemuCheck(await checkImage(node))).toEqual(comparableCheck(qemuCheck(path)));
    await node.close();
  }
});
