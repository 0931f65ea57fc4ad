import { afterAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import type { FormatNode } from '../access.ts';
import { bytesByQemu, qemuImg, qemuIo, Scratch } from '../formats/shared/testing/oracle.ts';
import { openImage } from '../graph.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { searchStep } from './search.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

async function search(
  image: FormatNode,
  space: 'guest' | 'host',
  pattern: Uint8Array,
  from: number,
  backward: boolean,
): Promise<{ found: number | null; steps: number }> {
  for (let at: number | null = from, steps = 1; ; steps++) {
    const step = await searchStep(image, { space, pattern, from: at, backward, time: 0 });
    if (step.found !== null || step.next === null) return { found: step.found, steps };
    at = step.next;
  }
}

describe('search', () => {
  it.each(['guest', 'host'] as const)('finds in a qcow2 what Buffer finds in its %s bytes', async (space) => {
    const path = scratch.fresh('search.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4096', path, '12M');
    qemuIo(path, 'qcow2', 'write -P 0x41 65536 3', 'write -P 0x42 2097150 5', 'write -P 0x41 9000000 2');
    const image = (await openImage(path)).node;
    const bytes = Buffer.from(space === 'guest' ? bytesByQemu(scratch, path, 'qcow2') : readFileSync(path));
    for (const text of ['AAA', 'BB', '\0AA', 'AA\0\0', '\0\0', 'QFI', 'none']) {
      const pattern = Buffer.from(text);
      for (const from of [0, 65536, 65538, 2097151, 5_000_000]) {
        const next = bytes.indexOf(pattern, from);
        expect((await search(image, space, pattern, from, false)).found, `${text} from ${from}`).toBe(
          next < 0 ? null : next,
        );
        const last = bytes.lastIndexOf(pattern, from);
        expect((await search(image, space, pattern, from, true)).found, `${text} back from ${from}`).toBe(
          last < 0 ? null : last,
        );
      }
    }
    await image.close();
  });

  it('passes over a terabyte of nothing in a few steps', async () => {
    const path = scratch.fresh('empty.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', path, '1T');
    qemuIo(path, 'qcow2', 'write -P 0x5a 1099511562240 64k');
    const image = (await openImage(path)).node;
    const { found, steps } = await search(image, 'guest', Buffer.from('ZZ'), 0, false);
    expect(found).toBe(1099511562240);
    expect(steps).toBeLessThan(4000);
    await image.close();
  });

  it('agrees with Buffer on any bytes, matches over the windows’ edges included', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat((1 << 20) + 5),
        fc.uint8Array({ minLength: 1, maxLength: 4, max: 2 }),
        fc.nat(1 << 21),
        fc.boolean(),
        async (at, pattern, from, backward) => {
          const bytes = Buffer.alloc((1 << 21) + 512);
          bytes.set(pattern, at);
          const { node } = await openImage(new MemoryStorage(bytes, { readOnly: true }), { format: 'raw' });
          const index = backward ? bytes.lastIndexOf(pattern, from) : bytes.indexOf(pattern, from);
          expect((await search(node, 'guest', pattern, from, backward)).found).toBe(index < 0 ? null : index);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([0, 1025])('refuses a pattern of %d bytes', async (length) => {
    const { node } = await openImage(new MemoryStorage(512), { format: 'raw' });
    const options = { space: 'guest', pattern: new Uint8Array(length), from: 0, backward: false } as const;
    expect(() => searchStep(node, options)).toThrow(/pattern has/);
  });
});
