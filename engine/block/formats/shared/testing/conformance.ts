/** For tests of every format alike: the same disk through Platter and through QEMU, and hostile headers. */
import * as fc from 'fast-check';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { PlatterError } from '../../../../errors.ts';
import { FormatNode } from '../../../access.ts';
import type { CreateOptions, FormatDescriptor, OpenContext } from '../../../format.ts';
import { denyAll } from '../../../gate.ts';
import { openImage, type OpenOptions } from '../../../graph.ts';
import { DEFAULT_LIMITS } from '../../../limits.ts';
import type { BlockNode } from '../../../node.ts';
import { openFile } from '../../../storage/file.ts';
import { MemoryStorage } from '../../../storage/memory.ts';
import {
  bytesByQemu,
  infoByQemu,
  mapByQemu,
  qemuImg,
  tool,
  type QemuExtent,
  type Scratch,
} from './oracle.ts';

/** A context for drivers that open nothing else. */
export function plainContext(readOnly = true): OpenContext {
  const none = (): never => {
    throw new PlatterError('gate.denied', 'not allowed');
  };
  return {
    image: 'image',
    readOnly,
    probed: false,
    gate: denyAll,
    limits: DEFAULT_LIMITS,
    looksLike: () => 'raw',
    openBacking: none,
    openStorage: none,
  };
}

/** Opens an image as the application does. */
export async function openPath(path: string, options: OpenOptions = {}): Promise<FormatNode> {
  const opened = await openImage(path, options);
  return opened.node;
}

/** The whole disk, read in pieces that are no multiple of anything. */
export async function readAll(node: BlockNode, pieceBytes = 1_000_003): Promise<Uint8Array> {
  const bytes = new Uint8Array(node.virtualSize);
  for (let at = 0; at < bytes.length; at += pieceBytes)
    await node.read(at, bytes.subarray(at, at + pieceBytes));
  return bytes;
}

/** Fails with the first offset at which the two differ, which says more than two dumps. */
export function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  const same = Buffer.compare(actual, expected) === 0;
  const at = same ? -1 : actual.findIndex((byte, index) => byte !== expected[index]);
  expect({ length: actual.length, firstDifference: at }).toEqual({
    length: expected.length,
    firstDifference: -1,
  });
}

/** What QEMU wrote: same bytes, same map (where QEMU's driver has one), same info, and reading changed nothing in the file. */
export async function expectReadsAsQemu(
  scratch: Scratch,
  path: string,
  format: string,
  options: OpenOptions = {},
  knowsMap = true,
): Promise<void> {
  const before = readFileSync(path);
  const node = await openPath(path, options);
  try {
    expect(node.driver).toBe(format);
    expectSameBytes(await readAll(node), bytesByQemu(scratch, path, format));
    if (knowsMap) await expectSameMap(node, mapByQemu(path, format));
    const info = infoByQemu(path, format);
    expect(node.virtualSize).toBe(info['virtual-size']);
    // Some of QEMU's drivers do not tell.
    if (info['cluster-size'] !== undefined) expect(node.clusterSize).toBe(info['cluster-size']);
    expect((await node.format.describe()).dirty ?? false).toBe(info['dirty-flag'] ?? false);
  } finally {
    await node.close();
  }
  expect(Buffer.compare(before, readFileSync(path))).toBe(0);
}

/** Every byte lies where QEMU says; QEMU may know more zeroes, since it asks the file system for holes. */
async function expectSameMap(node: BlockNode, extents: QemuExtent[]): Promise<void> {
  for (const theirs of extents) {
    for (let at = theirs.start; at < theirs.start + theirs.length;) {
      const ours = await node.map(at, theirs.start + theirs.length - at);
      if (theirs.depth === 0) {
        const where = `at ${at}`;
        expect([where, ours.kind !== 'unallocated']).toEqual([where, theirs.present]);
        if (!theirs.zero) expect([where, ours.kind === 'zero']).toEqual([where, false]);
        if (ours.kind === 'data' && theirs.offset !== undefined) {
          expect([where, ours.hostOffset]).toEqual([where, theirs.offset + at - theirs.start]);
        }
      }
      at += ours.length;
    }
  }
}

type Operation =
  | { kind: 'write'; offset: number; length: number; seed: number }
  | { kind: 'zero' | 'discard'; offset: number; length: number }
  | { kind: 'reopen' };

function operations(size: number, cluster: number): fc.Arbitrary<Operation[]> {
  // Offsets close to cluster borders find what random ones miss.
  const offset = fc.oneof(
    fc.nat(size - 1),
    fc
      .tuple(fc.nat(Math.ceil(size / cluster)), fc.integer({ min: -1024, max: 1024 }))
      .map(([index, by]) => Math.min(size - 1, Math.max(0, index * cluster + by))),
  );
  const length = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 * cluster }));
  const range = fc
    .tuple(offset, length)
    .map(([at, want]) => ({ offset: at, length: Math.min(want, size - at) }));
  const write = fc
    .tuple(range, fc.integer({ min: 1, max: 255 }))
    .map(([where, seed]): Operation => ({ kind: 'write', ...where, seed }));
  const zero = range.map((where): Operation => ({ kind: 'zero', ...where }));
  const discard = range.map((where): Operation => ({ kind: 'discard', ...where }));
  const reopen = fc.constant<Operation>({ kind: 'reopen' });
  const one = fc.oneof(
    { weight: 6, arbitrary: write },
    { weight: 2, arbitrary: zero },
    { weight: 1, arbitrary: discard },
    { weight: 1, arbitrary: reopen },
  );
  return fc.array(one, { minLength: 1, maxLength: 20 });
}

/** Bytes that tell their place: no two clusters look alike. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (seed + i * 7 + (i >> 9)) & 0xff;
  return bytes;
}

export interface WriteCase {
  format: FormatDescriptor;
  size: number;
  options?: Omit<CreateOptions, 'size'>;
  /** Makes the image; by default the format's own `create`. Answers the disk's first contents. */
  prepare?: (path: string) => Promise<Uint8Array> | Uint8Array;
  openOptions?: OpenOptions;
  /** `qemu-img check` must find nothing (for formats in which it can look). */
  check: boolean;
  runs?: number;
}

/** Random work on an image against a plain array of bytes; then QEMU reads the same, and finds the image sound. */
export async function expectWritesForQemu(scratch: Scratch, given: WriteCase): Promise<void> {
  const name = given.format.name;
  const cluster = await clusterSizeOf(scratch, given);
  await fc.assert(
    fc.asyncProperty(operations(given.size, cluster), async (list) => {
      const path = scratch.fresh('work.img');
      let expected: Uint8Array = new Uint8Array(given.size);
      if (given.prepare === undefined) await makeEmpty(path, given);
      else expected = await given.prepare(path);
      await work(path, given, list, expected);
      const raw = scratch.fresh('expected.raw');
      writeFileSync(raw, expected);
      const compared = tool('qemu-img', ['compare', '-f', name, '-F', 'raw', path, raw]);
      expect(compared.stdout + compared.stderr).toBe('Images are identical.\n');
      if (given.check) {
        const checked = tool('qemu-img', ['check', '-f', name, path]);
        expect([checked.status, checked.stderr]).toEqual([0, '']);
      }
      rmSync(raw);
      rmSync(path);
    }),
    { numRuns: given.runs ?? 12 },
  );
}

async function work(path: string, given: WriteCase, list: Operation[], expected: Uint8Array): Promise<void> {
  const options = { ...given.openOptions, format: given.format.name, readOnly: false };
  let node = await openPath(path, options);
  expect(node.virtualSize).toBe(expected.length);
  for (const one of list) {
    if (one.kind === 'reopen') {
      await node.close();
      node = await openPath(path, options);
    } else if (one.kind === 'write') {
      const bytes = pattern(one.length, one.seed);
      await node.write(one.offset, bytes);
      expected.set(bytes, one.offset);
    } else if (one.kind === 'zero') {
      await node.writeZeroes(one.offset, one.length);
      expected.fill(0, one.offset, one.offset + one.length);
    } else {
      await node.discard(one.offset, one.length);
      const after = new Uint8Array(one.length);
      await node.read(one.offset, after);
      const kept = after.every((byte, i) => byte === 0 || byte === expected[one.offset + i]);
      expect(kept).toBe(true);
      expected.set(after, one.offset);
    }
  }
  expectSameBytes(await readAll(node), expected);
  const check = await node.format.check?.();
  expect(check === undefined ? [] : check.messages).toEqual([]);
  await node.close();
}

async function makeEmpty(path: string, given: WriteCase): Promise<void> {
  await createAt(path, given.format, { size: given.size, ...given.options });
}

async function clusterSizeOf(scratch: Scratch, given: WriteCase): Promise<number> {
  const path = scratch.fresh('probe.img');
  if (given.prepare === undefined) await makeEmpty(path, given);
  else await given.prepare(path);
  const node = await openPath(path, { ...given.openOptions, format: given.format.name });
  const size = node.clusterSize ?? 65536;
  await node.close();
  return size;
}

/** Creates an image file with the format's own `create`. */
export async function createAt(
  path: string,
  format: FormatDescriptor,
  options: CreateOptions,
): Promise<void> {
  const storage = openFile(path, { create: true });
  try {
    if (format.create === undefined) throw new Error(`${format.name} cannot create`);
    await format.create(storage, options);
  } finally {
    storage.close();
  }
}

/**
 * Cuts the image short and changes bytes of its structures. Whatever comes, it opens or throws a `PlatterError`, and so does
 * every read. `areas`: where the structures lie, [offset, length] in bytes.
 */
export async function expectSurvives(
  image: Uint8Array,
  format: FormatDescriptor,
  areas: readonly (readonly [number, number])[],
  runs = 400,
): Promise<void> {
  const lengths = [0, 1, 3, 511, 512, 513, 1023, 4096, 65536, image.length - 1].filter(
    (n) => n < image.length,
  );
  for (const length of lengths) await tryOpen(image.slice(0, length), format);
  const positions = areas.flatMap(([offset, length]) =>
    length > 0 ? [fc.integer({ min: offset, max: offset + length - 1 })] : [],
  );
  const hostile = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff), fc.nat(255));
  const change = fc.record({
    at: fc.oneof(...positions),
    bytes: fc.array(hostile, { minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const copy = image.slice();
      for (const { at, bytes } of changes) copy.set(bytes.slice(0, copy.length - at), at);
      await tryOpen(copy, format);
    }),
    { numRuns: runs },
  );
}

async function tryOpen(image: Uint8Array, format: FormatDescriptor): Promise<void> {
  const storage = new MemoryStorage(image, { name: 'hostile.img', readOnly: true });
  await orPlatterError(async () => {
    const node = new FormatNode(await format.open(storage, plainContext()), 'hostile.img');
    await orPlatterError(async () => {
      await node.format.describe();
    });
    await orPlatterError(async () => {
      await node.format.check?.();
    });
    const target = new Uint8Array(4096);
    const last = Math.max(0, node.virtualSize - target.length);
    for (const at of [0, Math.floor(last / 2), last]) {
      await orPlatterError(async () => {
        await node.read(at, target.subarray(0, Math.min(target.length, node.virtualSize - at)));
      });
    }
  });
}

async function orPlatterError(operation: () => Promise<void>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    if (!(error instanceof PlatterError)) throw error;
  }
}

/** `qemu-img create`, then its bytes. */
export function madeByQemu(path: string, format: string, size: string, ...options: string[]): Uint8Array {
  qemuImg('create', '-q', '-f', format, ...options.flatMap((option) => ['-o', option]), path, size);
  return readFileSync(path);
}
