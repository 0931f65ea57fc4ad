/** Writes that go on behind: in the end the file holds what a plain one holds, and failures are not lost. */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { testFolder } from '../testing/qemu.ts';
import { noise } from '../testing/bytes.ts';
import { FileStorage, openFile } from './file.ts';
import { WriteBehind } from './write-behind.ts';

const at = testFolder();
const SIZE = 3 << 20;

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('write'),
    offset: fc.nat(SIZE),
    length: fc.constantFrom(1, 5000, 200_000, 1 << 20),
  }),
  fc.record({ kind: fc.constant('zero'), offset: fc.nat(SIZE), length: fc.nat(300_000) }),
  fc.record({ kind: fc.constant('read'), offset: fc.nat(SIZE), length: fc.nat(500_000) }),
);

it('reads, zeroes and sizes see what was written before them', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 20 }), async (operations) => {
      const path = at(`file${runs++}`);
      writeFileSync(path, '');
      const file = new WriteBehind(openFile(path, { readOnly: false }));
      const model = new Uint8Array(SIZE * 2);
      let end = 0;
      for (const [index, { kind, offset, length }] of operations.entries()) {
        if (kind === 'write') {
          const bytes = noise(length, index);
          await file.write(offset, bytes);
          model.set(bytes, offset);
        } else if (kind === 'zero' && length > 0) {
          await file.writeZeroes(offset, length);
          model.fill(0, offset, offset + length);
        } else if (offset + length <= end) {
          const target = new Uint8Array(length);
          await file.read(offset, target);
          expect(Buffer.compare(target, model.subarray(offset, offset + length))).toBe(0);
        }
        if (kind !== 'read' && length > 0) end = Math.max(end, offset + length);
        expect(file.size()).toBe(end);
      }
      await file.flush();
      await file.close();
      const written = readFileSync(path);
      rmSync(path);
      expect(Buffer.compare(written, model.subarray(0, end))).toBe(0);
    }),
    { numRuns: 25 },
  );
});

it('a write that fails is told of by whoever comes next', async () => {
  writeFileSync(at('ro'), '');
  // Open for reading only, which the class does not know.
  const fd = openSync(at('ro'), 'r');
  const file = new WriteBehind(new FileStorage(fd, at('ro'), false));
  void file.write(0, new Uint8Array(1 << 20));
  await expect(file.settle()).rejects.toMatchObject({ context: { image: 'ro' } });
  expect(() => file.write(0, new Uint8Array(1))).toThrow();
  await file.close();
  expect(() => closeSync(fd)).toThrow();
});
