import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { noise } from '../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { repairImage } from './repair.ts';

const file = testFolder();

function damaged(name: string, options: string, damage: (bytes: Buffer, counts: number) => void): string {
  const path = file(name);
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '8M');
  qemuIo(path, 'write -P 1 0 1M', 'write -P 2 4M 300k');
  qemuImg('snapshot', '-c', 'one', path);
  qemuIo(path, 'write -P 3 512k 1M');
  const bytes = readFileSync(path);
  const table = Number(bytes.readBigUInt64BE(48));
  damage(bytes, Number(bytes.readBigUInt64BE(table)));
  writeFileSync(path, bytes);
  return path;
}

function contents(path: string): Buffer {
  qemuImg('convert', '-O', 'raw', path, `${path}.raw`);
  return readFileSync(`${path}.raw`);
}

describe.each(['cluster_size=64k', 'cluster_size=4k', 'cluster_size=512'])('repair of %s', (options) => {
  it('puts counts right in both directions, and QEMU agrees', async () => {
    const path = damaged('counts.qcow2', options, (bytes, counts) => {
      noise(60, 3).forEach((value, index) => bytes.writeUInt16BE(value % 4, counts + 2 * (index + 4)));
    });
    const before = contents(path);
    const theirs = qemuCheck(path);
    const { node } = await openImage(path, { readOnly: false, repair: true });
    const { before: found, after } = await repairImage(node, 'all');
    expect(found.leaks).toBe(theirs.leaks ?? 0);
    expect(found.corruptions > 0).toBe((theirs.corruptions ?? 0) > 0);
    expect([after.corruptions, after.leaks]).toEqual([0, 0]);
    await node.close();
    expect(qemuCheck(path)).toMatchObject({ 'check-errors': 0 });
    expect(qemuCheck(path).corruptions ?? qemuCheck(path).leaks).toBeUndefined();
    expect(contents(path).equals(before)).toBe(true);
  });

  it('leaks alone leaves counts alone that are too small', async () => {
    const path = damaged('leaks.qcow2', options, (bytes, counts) => {
      bytes.writeUInt16BE(7, counts + 8);
      bytes.writeUInt16BE(0, counts + 10);
    });
    const { node } = await openImage(path, { readOnly: false, repair: true });
    const { after } = await repairImage(node, 'leaks');
    expect(after.leaks).toBe(0);
    expect(after.corruptions).toBeGreaterThan(0);
    await node.close();
  });
});

/** Damage to the refcount table and its blocks themselves. `bytes` is the file, `table` the table's place. */
const DESTROYED: [string, (bytes: Buffer, table: number) => void][] = [
  ['an entry that is not aligned', (bytes, table) => void bytes.writeUInt8(2, table + 6)],
  ['an entry outside the file', (bytes, table) => void bytes.writeBigUInt64BE(1n << 40n, table)],
  ['noise instead of a table', (bytes, table) => bytes.set(noise(512, 7), table)],
  ['zeroes instead of a table', (bytes, table) => void bytes.fill(0, table, table + 512)],
  ['a table outside the file', (bytes) => void bytes.writeBigUInt64BE(1n << 40n, 48)],
  ['no table', (bytes) => void bytes.fill(0, 48, 60)],
  [
    'a block that is a data cluster as well',
    (bytes, table) => {
      const l1 = Number(bytes.readBigUInt64BE(40));
      const l2 = Number(bytes.readBigUInt64BE(l1) & 0x00ff_ffff_ffff_fe00n);
      bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l2) & 0x00ff_ffff_ffff_fe00n, table);
    },
  ],
];

describe.each(DESTROYED)('reference counts are built anew after %s', (_name, damage) => {
  it.each(['refcount_bits=64', 'refcount_bits=2,cluster_size=4k'])('%s', async (options) => {
    const path = damaged('sound.qcow2', options, () => undefined);
    const wanted = contents(path);
    const bytes = readFileSync(path);
    const copy = file('destroyed.qcow2');
    damage(bytes, Number(bytes.readBigUInt64BE(48)));
    writeFileSync(copy, bytes);
    const { node } = await openImage(copy, { readOnly: false, repair: true });
    const { before, after, fixed } = await repairImage(node, 'all');
    expect(before.corruptions + before.checkErrors).toBeGreaterThan(0);
    expect(fixed.corruptions).toBeGreaterThan(0);
    expect([after.corruptions, after.leaks, after.checkErrors, after.messages]).toEqual([0, 0, 0, []]);
    await node.close();
    const theirs = qemuCheck(copy);
    expect([theirs.corruptions, theirs.leaks, theirs['check-errors']]).toEqual([undefined, undefined, 0]);
    expect(contents(copy).equals(wanted)).toBe(true);
    qemuIo(copy, 'write -P 9 0 2M');
    const again = await openImage(copy, { readOnly: false });
    await again.node.write(12345, noise(100_000, 1));
    await again.node.close();
    expect(qemuCheck(copy)['check-errors'] + (qemuCheck(copy).corruptions ?? 0)).toBe(0);
  });
});

it('an image that was not closed is put right by whoever opens it for writing', async () => {
  const path = damaged('dirty.qcow2', 'lazy_refcounts=on', (bytes, counts) => {
    bytes.writeBigUInt64BE(1n, 72);
    for (let index = 6; index < 20; index++) bytes.writeUInt16BE(0, counts + 2 * index);
  });
  const before = contents(path);
  const { node } = await openImage(path, { readOnly: false });
  await node.close();
  expect(qemuCheck(path).corruptions ?? qemuCheck(path).leaks).toBeUndefined();
  expect(readFileSync(path).readBigUInt64BE(72)).toBe(0n);
  expect(contents(path).equals(before)).toBe(true);
});
