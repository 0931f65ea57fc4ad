import { copyFileSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from './snapshot.ts';

const file = testFolder();

function contents(path: string): Buffer {
  qemuImg('convert', '-O', 'raw', path, `${path}.raw`);
  return readFileSync(`${path}.raw`);
}

function expectSound(path: string): void {
  const found = qemuCheck(path);
  expect([found.corruptions, found.leaks, found['check-errors']]).toEqual([undefined, undefined, 0]);
}

describe.each([
  'cluster_size=64k',
  'cluster_size=4k,refcount_bits=4',
  'compat=0.10',
  'extended_l2=on',
  'cluster_size=512',
])('snapshots of %s', (options) => {
  it('are created, read, applied and deleted, and QEMU finds no fault', async () => {
    const path = file(`${options.replaceAll(/\W/g, '-')}.qcow2`);
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '4M');
    qemuIo(path, 'write -P 1 0 1M', 'write -P 2 2M 100k');
    const first = contents(path);
    const { node } = await openImage(path, { readOnly: false });
    await createSnapshot(node, 'one');
    await node.write(500_000, new Uint8Array(300_000).fill(3));
    await createSnapshot(node, 'two');
    await node.write(900_000, new Uint8Array(500_000).fill(4));
    await node.discard(0, 262_144);
    await node.flush();
    expectSound(path);
    const present = contents(path);
    const { node: past } = await openImage(path, { snapshot: 'one' });
    const read = Buffer.alloc(past.virtualSize);
    await past.read(0, read);
    expect(read.equals(first)).toBe(true);
    await past.close();
    copyFileSync(path, file('theirs.qcow2'));
    qemuImg('snapshot', '-a', 'two', file('theirs.qcow2'));
    await applySnapshot(node, 'two');
    await node.close();
    expectSound(path);
    const second = contents(path);
    expect(second.equals(present)).toBe(false);
    expect(second.equals(contents(file('theirs.qcow2')))).toBe(true);
    const again = await openImage(path, { readOnly: false });
    await deleteSnapshot(again.node, 'two');
    await expect(deleteSnapshot(again.node, 'two')).rejects.toMatchObject({ code: 'snapshot.unknown' });
    await applySnapshot(again.node, '1');
    await deleteSnapshot(again.node, 'one');
    await again.node.close();
    expectSound(path);
    expect(contents(path).equals(first)).toBe(true);
  });
});

it('a count that cannot rise refuses a snapshot before anything is changed', async () => {
  const path = file('narrow.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'refcount_bits=1', path, '4M');
  qemuIo(path, 'write -P 1 0 1M');
  const { node } = await openImage(path, { readOnly: false });
  await expect(createSnapshot(node, 'one')).rejects.toMatchObject({ code: 'qcow2.refcount-overflow' });
  await node.close();
  expectSound(path);
});
