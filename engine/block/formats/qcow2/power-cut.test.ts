/**
 * The power may fail at any moment: what reached the disk before the last flush is there, of the rest any part. Whatever is left,
 * `qemu-img check` finds leaks at worst, and what was flushed reads back.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openImage } from '../../graph.ts';
import { noise, same } from '../../testing/bytes.ts';
import { RecordingStorage } from '../../testing/power-cut.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../../testing/qemu.ts';

const at = testFolder();

/** A reproducible coin. */
function coin(seed: number): () => boolean {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >= 0x8000_0000;
  };
}

it.each([
  ['small clusters', 'cluster_size=512,refcount_bits=16', false],
  ['a snapshot that shares everything', 'cluster_size=1k', true],
  ['subclusters', 'extended_l2=on,cluster_size=16k', false],
])('with %s', async (_, options, snapshot) => {
  const path = at('start.qcow2');
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '2M');
  qemuIo(path, 'write -P 1 0 512k');
  if (snapshot) qemuImg('snapshot', '-c', 'before', path);
  const storage = new RecordingStorage(readFileSync(path));
  const { node } = await openImage(storage, { readOnly: false, format: 'qcow2' });
  const stable = noise(40_000, 99);
  await node.write(1_500_000, stable);
  await node.flush();
  const flushed = storage.epochs;
  for (let step = 0; step < 30; step++) {
    const offset = (step * 97_003) % 1_400_000;
    if (step % 5 === 3) await node.discard(offset, 30_000);
    else if (step % 5 === 4) await node.writeZeroes(offset, 20_000, step % 2 === 0);
    else await node.write(offset, noise(7_000 + step * 300, step));
    if (step % 7 === 6) await node.flush();
  }
  await node.close();

  for (let epoch = flushed; epoch <= storage.epochs; epoch++) {
    for (let seed = 0; seed < 6; seed++) {
      const left = at('left.qcow2');
      // All of the epoch, none of it, and a random part.
      const random = coin(epoch * 7 + seed);
      writeFileSync(
        left,
        storage.after(epoch, () => (seed === 0 ? true : seed === 1 ? false : random())),
      );
      const check = qemuCheck(left);
      expect([epoch, check['check-errors'], check.corruptions ?? 0]).toEqual([epoch, 0, 0]);
      const again = await openImage(left);
      const got = new Uint8Array(stable.length);
      await again.node.read(1_500_000, got);
      await again.node.close();
      expect(same(got, stable)).toBe(true);
    }
  }
});
