/**
 * A job may end at any moment, by a kill or a power cut. What is left reads as before the job or as after it, snapshots read as they
 * should, and `qemu-img check -r all` (what QEMU does by itself when the dirty bit is set) leaves a sound image that reads the same.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { FormatNode } from '../access.ts';
import { openImage } from '../graph.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { RecordingStorage } from '../testing/power-cut.ts';
import { qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { resizeImage } from './resize.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from './snapshot.ts';

const at = testFolder();

async function contents(bytes: Uint8Array, snapshot?: string): Promise<Buffer> {
  const { node } = await openImage(new MemoryStorage(bytes), { format: 'qcow2', snapshot });
  const read = Buffer.alloc(node.virtualSize);
  await node.read(0, read);
  await node.close();
  return read;
}

const jobs: [string, (node: FormatNode) => Promise<void>][] = [
  ['creating a snapshot', (node) => createSnapshot(node, 'new')],
  ['applying a snapshot', (node) => applySnapshot(node, 'kept')],
  ['deleting a snapshot', (node) => deleteSnapshot(node, 'gone')],
  ['growing', (node) => resizeImage(node, 9 << 20)],
  ['shrinking', (node) => resizeImage(node, 300_032, { shrink: true })],
];

it.each(jobs)('%s', { timeout: 60_000 }, async (_, job) => {
  const path = at('start.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, '1M');
  qemuIo(path, 'write -P 1 0 700k');
  qemuImg('snapshot', '-c', 'kept', path);
  qemuIo(path, 'write -P 2 100k 200k');
  qemuImg('snapshot', '-c', 'gone', path);
  qemuIo(path, 'write -P 3 250k 500k');
  const start = new Uint8Array(readFileSync(path));
  const kept = await contents(start, 'kept');
  const before = await contents(start);
  const storage = new RecordingStorage(start);
  const { node } = await openImage(storage, { readOnly: false, format: 'qcow2' });
  await job(node);
  await node.close();
  const after = await contents(storage.after(storage.epochs, () => true));
  let old = 0;
  for (let epoch = 0; epoch <= storage.epochs; epoch++) {
    for (const keep of [() => true, () => false, (index: number) => index % 3 !== epoch % 3]) {
      const left = storage.after(epoch, keep);
      const disk = await contents(left);
      expect(disk.equals(before) || disk.equals(after), `epoch ${epoch}`).toBe(true);
      if (disk.equals(before)) old++;
      expect((await contents(left, 'kept')).equals(kept)).toBe(true);
      if (keep(0) && keep(1)) continue;
      writeFileSync(at('left.qcow2'), left);
      const repair = spawnSync('qemu-img', ['check', '-q', '-r', 'all', at('left.qcow2')], {
        encoding: 'utf8',
      });
      expect([epoch, repair.status, repair.stderr]).toEqual([epoch, 0, expect.anything()]);
      const repaired = new Uint8Array(readFileSync(at('left.qcow2')));
      expect((await contents(repaired)).equals(disk)).toBe(true);
      expect((await contents(repaired, 'kept')).equals(kept)).toBe(true);
    }
  }
  expect(old).toBeGreaterThan(0);
});
