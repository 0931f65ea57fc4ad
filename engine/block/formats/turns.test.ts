/**
 * Two writers in turns, never at once: Platter and qemu-io write, zero and discard at random in one image of every writable format, for
 * qcow2 with snapshots and resizes by both. After every turn each reads what a plain array of bytes says, and qemu-img check finds
 * nothing. `PLATTER_PROPERTY_RUNS` tries more sequences.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FormatNode } from '../access.ts';
import { openImage } from '../graph.ts';
import { resizeImage } from '../jobs/resize.ts';
import { applySnapshot, createSnapshot, deleteSnapshot } from '../jobs/snapshot.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';

const at = testFolder();
const RUNS = Number(process.env.PLATTER_PROPERTY_RUNS ?? 1);
const SIZE = 3 << 20;
const SECTOR = 512;

const FORMATS: [string, string][] = [
  ['qcow2', 'cluster_size=4k'],
  ['qcow2', 'cluster_size=512,refcount_bits=1'],
  ['qcow2', 'cluster_size=64k,extended_l2=on'],
  ['qcow2', 'compat=0.10'],
  ['qed', 'cluster_size=4k'],
  ['vdi', 'static=off'],
  ['vmdk', 'subformat=monolithicSparse'],
  ['vmdk', 'subformat=twoGbMaxExtentSparse'],
  ['vhdx', 'block_size=1M'],
  ['vpc', 'subformat=dynamic,force_size=on'],
  ['parallels', 'cluster_size=64k'],
  ['raw', ''],
];

interface Change {
  kind: 'write' | 'zero' | 'discard';
  /** In sectors. */
  at: number;
  length: number;
  value: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('write', 'write', 'write', 'zero', 'discard'),
  at: fc.nat(SIZE / SECTOR - 1),
  length: fc.integer({ min: 1, max: 700 }),
  value: fc.integer({ min: 1, max: 255 }),
});
const changes = fc.array(change, { minLength: 2, maxLength: 6 });
const work = fc.oneof(
  { weight: 5, arbitrary: changes.map((list) => ({ kind: 'changes' as const, list })) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((name) => ({ kind: 'snapshot' as const, name })) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((name) => ({ kind: 'apply' as const, name })) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((name) => ({ kind: 'delete' as const, name })) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 200, max: 9000 }).map((sectors) => ({ kind: 'resize' as const, sectors })),
  },
);
const turn = fc.record({ ours: fc.boolean(), work });

/** The disk as it should be, and what its snapshots hold. */
class Model {
  bytes = Buffer.alloc(SIZE);
  readonly snapshots = new Map<string, Buffer>();

  /** The part of a change that lies on the disk; bytes. */
  range({ at: start, length }: Change): { offset: number; length: number } | undefined {
    const offset = start * SECTOR;
    const end = Math.min(this.bytes.length, offset + length * SECTOR);
    return offset < end ? { offset, length: end - offset } : undefined;
  }

  resize(size: number): void {
    const next = Buffer.alloc(size);
    this.bytes.copy(next);
    this.bytes = next;
  }
}

/** A discarded stretch reads as zeroes or as before. */
function takeDiscard(model: Model, offset: number, after: Buffer): void {
  for (let index = 0; index < after.length; index += SECTOR) {
    const sector = after.subarray(index, index + SECTOR);
    const old = model.bytes.subarray(offset + index, offset + index + SECTOR);
    expect(sector.equals(old) || sector.every((byte) => byte === 0)).toBe(true);
  }
  after.copy(model.bytes, offset);
}

async function ourChanges(node: FormatNode, list: Change[], model: Model): Promise<void> {
  for (const one of list) {
    const range = model.range(one);
    if (range === undefined) continue;
    const { offset, length } = range;
    if (one.kind === 'discard') {
      await node.discard(offset, length);
      const after = Buffer.alloc(length);
      await node.read(offset, after);
      takeDiscard(model, offset, after);
      continue;
    }
    const value = one.kind === 'zero' ? 0 : one.value;
    if (value === 0) await node.writeZeroes(offset, length, one.value % 2 === 0);
    else await node.write(offset, new Uint8Array(length).fill(value));
    model.bytes.fill(value, offset, offset + length);
  }
}

function theirChanges(path: string, format: string, list: Change[], model: Model): void {
  const words = ['-f', format];
  const discards: { offset: number; length: number }[] = [];
  for (const one of list) {
    const range = model.range(one);
    // What a discard leaves is QEMU's to choose: those are looked at afterwards, so nothing else may come later.
    if (range === undefined || one.kind === 'discard') continue;
    const { offset, length } = range;
    const value = one.kind === 'zero' ? 0 : one.value;
    words.push(
      '-c',
      one.kind === 'zero' ? `write -z ${offset} ${length}` : `write -P ${value} ${offset} ${length}`,
    );
    model.bytes.fill(value, offset, offset + length);
  }
  for (const one of list) {
    const range = one.kind === 'discard' ? model.range(one) : undefined;
    if (range === undefined) continue;
    discards.push(range);
    words.push('-c', `discard ${range.offset} ${range.length}`);
  }
  const done = spawnSync('qemu-io', [...words, path], { encoding: 'utf8' });
  expect([done.status, done.stderr]).toEqual([0, '']);
  if (discards.length === 0) return;
  const now = bytesByQemu(path, format);
  for (const { offset, length } of discards) {
    takeDiscard(model, offset, Buffer.from(now.subarray(offset, offset + length)));
  }
}

function bytesByQemu(path: string, format: string): Buffer {
  const raw = at('seen.raw');
  qemuImg('convert', '-f', format, '-O', 'raw', path, raw);
  return readFileSync(raw);
}

type Work = typeof work extends fc.Arbitrary<infer W> ? W : never;

async function doTurn(path: string, format: string, ours: boolean, what: Work, model: Model): Promise<void> {
  if (what.kind !== 'changes' && format !== 'qcow2') return;
  const open = async (job: (node: FormatNode) => Promise<void>): Promise<void> => {
    const { node } = await openImage(path, { format, readOnly: false, gate: { allow: () => true } });
    try {
      await job(node);
    } finally {
      await node.close();
    }
  };
  const { snapshots } = model;
  if (what.kind === 'changes') {
    if (ours) await open((node) => ourChanges(node, what.list, model));
    else theirChanges(path, format, what.list, model);
  } else if (what.kind === 'resize') {
    // Version 2 cannot, once there are snapshots.
    if (snapshots.size > 0 && readFileSync(path).readUInt32BE(4) === 2) return;
    const size = what.sectors * SECTOR;
    if (ours) await open((node) => resizeImage(node, size, { shrink: true }));
    else if (snapshots.size > 0) return;
    else qemuImg('resize', '-q', '-f', format, '--shrink', path, String(size));
    model.resize(size);
  } else if (what.kind === 'snapshot') {
    // One bit counts no second reference.
    const header = readFileSync(path);
    const oneBit = header.readUInt32BE(4) === 3 && header.readUInt32BE(96) === 0;
    if (snapshots.has(what.name) || oneBit) return;
    if (ours) await open((node) => createSnapshot(node, what.name));
    else qemuImg('snapshot', '-c', what.name, path);
    snapshots.set(what.name, Buffer.from(model.bytes));
  } else {
    const kept = snapshots.get(what.name);
    if (kept === undefined) return;
    if (what.kind === 'apply') {
      // QEMU goes back to another size only since 5.0, and qemu-img not at all in version 2.
      if (kept.length !== model.bytes.length) return;
      if (ours) await open((node) => applySnapshot(node, what.name));
      else qemuImg('snapshot', '-a', what.name, path);
      model.bytes = Buffer.from(kept);
    } else {
      if (ours) await open((node) => deleteSnapshot(node, what.name));
      else qemuImg('snapshot', '-d', what.name, path);
      snapshots.delete(what.name);
    }
  }
}

async function expectEqual(path: string, format: string, model: Model): Promise<void> {
  const { node } = await openImage(path, { format, gate: { allow: () => true } });
  const seen = Buffer.alloc(node.virtualSize);
  await node.read(0, seen);
  await node.close();
  expect(seen.equals(model.bytes)).toBe(true);
  expect(bytesByQemu(path, format).equals(model.bytes)).toBe(true);
  const checked = spawnSync('qemu-img', ['check', '-f', format, path], { encoding: 'utf8' });
  // Parallels keeps a tail of the file that QEMU itself makes in advance; 63: there is nothing to check.
  const fine = format === 'parallels' ? [0, 3] : format === 'raw' || format === 'vpc' ? [63] : [0];
  expect(fine, checked.stdout + checked.stderr).toContain(checked.status);
}

describe.each(FORMATS)('%s, %s', (format, options) => {
  it('Platter and QEMU in turns', { timeout: 60_000 + RUNS * 20_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 3, maxLength: 6 }), async (turns) => {
        const path = at(`disk.${format}`);
        rmSync(path, { force: true });
        const words = options === '' ? [] : ['-o', options];
        qemuImg('create', '-q', '-f', format, ...words, path, String(SIZE));
        const model = new Model();
        for (const { ours, work: what } of turns) {
          await doTurn(path, format, ours, what, model);
          await expectEqual(path, format, model);
        }
        expect(statSync(path).size).toBeGreaterThan(0);
      }),
      { numRuns: RUNS },
    );
  });
});
