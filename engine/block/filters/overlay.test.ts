/** snapshot=on: what is written is read, the image below stays as it was, memory is bounded. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { noise, same } from '../testing/bytes.ts';
import { SlowStorage } from '../testing/slow.ts';
import { OverlayNode } from './overlay.ts';

const SIZE = 100_000;

it.each([
  ['a fast storage', false],
  ['a slow storage', true],
])('random writes over %s', async (_, slow) => {
  const step = fc.record({
    offset: fc.nat({ max: SIZE - 1 }),
    length: fc.integer({ min: 1, max: 20_000 }),
    zero: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const base = noise(SIZE, 1);
      const memory = new MemoryStorage(base, { readOnly: true });
      const { node } = await openImage(slow ? new SlowStorage(memory) : memory, { format: 'raw' });
      const overlay = new OverlayNode(node);
      const model = base.slice();
      for (const [index, { offset, length: wanted, zero }] of steps.entries()) {
        const length = Math.min(wanted, SIZE - offset);
        const bytes = zero ? new Uint8Array(length) : noise(length, index);
        model.set(bytes, offset);
        await (zero ? overlay.writeZeroes(offset, length) : overlay.write(offset, bytes));
      }
      const got = new Uint8Array(SIZE);
      await overlay.read(0, got);
      const below = new Uint8Array(SIZE);
      memory.read(0, below);
      expect(same(got, model)).toBe(true);
      expect(same(below, base)).toBe(true);
      for (let at = 0; at < SIZE;) {
        const extent = await overlay.map(at, SIZE - at);
        expect(extent.offset).toBe(at);
        at += extent.length;
      }
      await overlay.close();
    }),
    { numRuns: 40 },
  );
});

it('takes no more memory than it may', async () => {
  const { node } = await openImage(new MemoryStorage(64 << 20), { format: 'raw' });
  const overlay = new OverlayNode(node, { limit: 1 << 20 });
  await overlay.write(0, noise(1 << 20, 1));
  await overlay.write(1000, noise(1 << 19, 2));
  expect(overlay.writtenBytes).toBe(1 << 20);
  const full = expect.objectContaining({ code: 'overlay.full' });
  expect(() => overlay.write(2 << 20, new Uint8Array(1))).toThrow(full);
  expect(() => overlay.writeZeroes(2 << 20, 60 << 20)).toThrow(full);
  await overlay.close();
});
