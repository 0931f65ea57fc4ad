import { readFileSync } from 'node:fs';
import {
  assert,
  asyncProperty,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
  array,
  constant,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowAll } from '../gate.ts';
import { openImage } from '../graph.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { resizeImage } from './resize.ts';
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

describe('resizeImage', () => {
  it.each(['cluster_size=64k', 'cluster_size=512', 'extended_l2=on'])(
    'shrinks and grows %s; what comes back is zero',
    async (options) => {
      const path = file('r.qcow2');
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '3M');
      qemuIo(path, 'write -P 1 0 3M');
      qemuImg('bitmap', '--add', path, 'b');
      const { node } = await openImage(path, { readOnly: false });
      await expect(resizeImage(node, 1_000_448)).rejects.toMatchObject({ code: 'resize.shrinks' });
      await resizeImage(node, 1_000_448, { shrink: true });
      await node.flush();
      expectSound(path);
      await resizeImage(node, 40 << 20);
      await node.close();
      expectSound(path);
      const wanted = Buffer.alloc(40 << 20);
      wanted.fill(1, 0, 1_000_448);
      expect(contents(path).equals(wanted)).toBe(true);
      qemuIo(path, 'write -P 2 39M 64k');
      expectSound(path);
    },
  );

  it('a longer backing file does not show through behind the old end', async () => {
    const base = file('base.qcow2');
    const path = file('top.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', base, '2M');
    qemuIo(base, 'write -P 5 0 2M');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path, '1000000');
    const { node } = await openImage(path, { readOnly: false, gate: allowAll });
    await resizeImage(node, 4 << 20);
    await node.close();
    const wanted = Buffer.alloc(4 << 20);
    wanted.fill(5, 0, 1_000_448);
    expect(contents(path).equals(wanted)).toBe(true);
  });
});

const place = record({
  at: nat(299_999),
  length: integer({ min: 1, max: 20_000 }),
  fill: integer({ min: 1, max: 255 }),
});
const step = oneof(
  record({ kind: constant('write' as const), place }),
  record({ kind: constant('zero' as const), place }),
  record({ kind: constant('snapshot' as const), name: constantFrom('a', 'b', 'c') }),
  record({ kind: constant('apply' as const), name: constantFrom('a', 'b', 'c') }),
  record({ kind: constant('delete' as const), name: constantFrom('a', 'b', 'c') }),
  record({ kind: constant('resize' as const), sectors: integer({ min: 1, max: 700 }) }),
);

describe('random sequences of writes, snapshots and resizes', () => {
  it.each(['cluster_size=512', 'cluster_size=4k', 'extended_l2=on,cluster_size=16k'])(
    'leave what a byte array holds, and nothing for qemu-img check, in %s',
    async (options) => {
      await assert(
        asyncProperty(array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
          const path = file('random.qcow2');
          qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '300032');
          let model = Buffer.alloc(300_032);
          const kept = new Map<string, Buffer>();
          const { node } = await openImage(path, { readOnly: false });
          for (const action of steps) {
            if (action.kind === 'write' || action.kind === 'zero') {
              const { at, length, fill } = action.place;
              const end = Math.min(model.length, at + length);
              if (at >= end) continue;
              const value = action.kind === 'zero' ? 0 : fill;
              if (value === 0) await node.writeZeroes(at, end - at, true);
              else await node.write(at, Buffer.alloc(end - at, value));
              model.fill(value, at, end);
            } else if (action.kind === 'resize') {
              await resizeImage(node, action.sectors * 512, { shrink: true });
              const next = Buffer.alloc(action.sectors * 512);
              model.copy(next);
              model = next;
            } else if (action.kind === 'snapshot' && !kept.has(action.name)) {
              await createSnapshot(node, action.name);
              kept.set(action.name, Buffer.from(model));
            } else if (action.kind === 'apply' && kept.has(action.name)) {
              await applySnapshot(node, action.name);
              model = Buffer.from(kept.get(action.name)!);
            } else if (action.kind === 'delete' && kept.delete(action.name)) {
              await deleteSnapshot(node, action.name);
            }
          }
          const seen = Buffer.alloc(node.virtualSize);
          await node.read(0, seen);
          expect(seen.equals(model)).toBe(true);
          await node.close();
          expectSound(path);
          expect(contents(path).equals(model)).toBe(true);
        }),
        { numRuns: 12 },
      );
    },
  );
});
