/**
 * `qemu-img rebase`: another backing file under an overlay. The safe way keeps the disk as it is: where the old and the new backing
 * image differ, the overlay takes over what it showed, and only then the name in its header changes. The unsafe way changes the
 * name alone.
 */
import { basename } from 'node:path';
import { alignedBuffer } from '../../bytes/aligned.ts';
import { ZEROES } from '../../bytes/zeroes.ts';
import { PlatterError } from '../../errors.ts';
import { run, type Maybe } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { formatByName } from '../formats/registry.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { rewriteHeader } from '../formats/qcow2/header-rewrite.ts';
import { pinZeroes } from '../formats/qcow2/zero.ts';
import { changeQedBacking } from '../formats/qed/backing.ts';
import { QedDriver } from '../formats/qed/driver.ts';
import { openImage, type OpenOptions } from '../graph.ts';
import type { ImageTree } from '../image-tree.ts';
import { extentAt } from '../map.ts';
import { readOrZero } from '../range.ts';
import { resolveReference } from '../references.ts';
import { chainOf, type ChainImage } from './chain.ts';
import { JobPace, type JobOptions } from './job.ts';

export interface RebaseOptions
  extends JobOptions, Pick<OpenOptions, 'format' | 'gate' | 'secret' | 'limits'> {
  /** The new backing file as the overlay shall name it, relative to the overlay's own folder; `''`: none. */
  backing: string;
  /** Its format; needed unless `backing` is empty. */
  backingFormat?: string;
  /** Change the name only: what the disk shows may change with it. Opens no other file. */
  unsafe?: boolean;
}

/** A piece of the two backing disks that is compared at once, and the unit in which it is taken over. */
const PIECE = 2 << 20;
const UNIT = 4096;

/**
 * `image`: the overlay. Throws `rebase.*`, `storage.*`, `gate.*`, `job.cancelled`; the overlay then keeps its old backing file and
 * shows what it showed.
 */
export async function rebaseImage(image: string | ImageTree, options: RebaseOptions): Promise<void> {
  const { format, gate, secret, limits } = options;
  const unsafe = options.unsafe === true;
  if (options.backing !== '' && options.backingFormat === undefined) {
    throw new PlatterError('rebase.no-format', 'A backing file must be given with its format', {
      option: 'backing format',
      value: options.backing,
      hint: 'Say it: -F qcow2, or -F raw.',
    });
  }
  if (options.backingFormat !== undefined) formatByName(options.backingFormat);
  const open: OpenOptions = { format, secret, limits, readOnly: false };
  const { node } = await openImage(image, { ...open, gate, backing: unsafe ? 'skip' : 'require' });
  try {
    checkPossible(node, options.backing);
    if (!unsafe) await keepContents(node, options);
    await node.flush();
    await node.alone(() => changeName(node, options));
  } finally {
    await node.close();
  }
}

function checkPossible(node: FormatNode, backing: string): void {
  const { format } = node;
  const raw = format instanceof Qcow2Driver && format.state.rawExternalData;
  if ((format instanceof Qcow2Driver && !(raw && backing !== '')) || format instanceof QedDriver) return;
  throw new PlatterError(
    'rebase.not-possible',
    raw
      ? `"${node.name}" keeps its data in a raw file, which must read the same without it: it can have no backing file`
      : `The backing file of a ${node.driver} image cannot be changed`,
    { image: node.name, value: node.driver, hint: 'Convert it to a qcow2 image.' },
  );
}

function changeName(node: FormatNode, { backing, backingFormat }: RebaseOptions): Maybe<void> {
  const name = backing === '' ? null : backing;
  const format = name === null ? null : (backingFormat ?? null);
  if (node.format instanceof QedDriver) return run(changeQedBacking(node.format, name, format));
  if (!(node.format instanceof Qcow2Driver)) return;
  return run(rewriteHeader(node.format.state, { backingName: name, backingFormat: format }));
}

/** Opens the new backing image and takes over what it does not have. */
async function keepContents(node: FormatNode, options: RebaseOptions): Promise<void> {
  const { backing, backingFormat, gate, secret, limits } = options;
  if (backing === '') {
    await takeOver(node, undefined, undefined, options);
    return;
  }
  const chain = chainOf(node);
  const own = chain[0].path;
  const target = resolveReference(backing, own, node.name);
  const { node: below } = await openImage(target, { format: backingFormat, gate, secret, limits });
  try {
    if (own !== undefined && chainOf(below).some((image) => image.path === own)) throw cycle(node, backing);
    const known = chain.find(({ depth, path: there }) => depth > 0 && there === target);
    await takeOver(node, below, known, options);
  } finally {
    await below.close();
  }
}

function cycle(node: FormatNode, backing: string): PlatterError {
  return new PlatterError(
    'rebase.cycle',
    `"${basename(backing)}" stands on "${node.name}": it cannot be under it as well`,
    { image: node.name, value: backing, hint: 'Name an image that does not have this one in its chain.' },
  );
}

/** `known`: the new backing image is an image of the old chain, so that only what lies above it can differ. */
async function takeOver(
  node: FormatNode,
  below: FormatNode | undefined,
  known: ChainImage | undefined,
  options: RebaseOptions,
): Promise<void> {
  const pace = new JobPace(options);
  const total = node.virtualSize;
  const buffers: [Uint8Array, Uint8Array] = [alignedBuffer(PIECE), alignedBuffer(PIECE)];
  pace.check();
  for (let at = 0; at < total;) {
    const own = await node.map(at, total - at);
    let { length } = own;
    if (own.kind === 'unallocated') {
      const old = await run(extentAt(node, at, length));
      length = old.length;
      if (known === undefined || old.depth < known.depth) {
        length = await compare(node, below, { at, length, zero: old.zero && !old.data }, buffers);
      }
    }
    at += length;
    await pace.step(at, total);
  }
  options.onProgress?.(total, total);
  pace.check();
}

/** Compares a part of a stretch that the overlay does not hold, and writes what differs; how many bytes that were. */
async function compare(
  node: FormatNode,
  below: FormatNode | undefined,
  stretch: { at: number; length: number; zero: boolean },
  buffers: readonly [Uint8Array, Uint8Array],
): Promise<number> {
  const { at } = stretch;
  let length = stretch.length;
  let bothZero = stretch.zero && (below === undefined || at >= below.virtualSize);
  if (stretch.zero && below !== undefined && at < below.virtualSize) {
    const other = await run(extentAt(below, at, Math.min(length, below.virtualSize - at)));
    length = other.length;
    bothZero = other.zero && !other.data;
  }
  if (bothZero) return length;
  if (stretch.zero) {
    await keepZeroes(node, at, length);
    return length;
  }
  length = Math.min(length, PIECE);
  const old = buffers[0].subarray(0, length);
  const next = buffers[1].subarray(0, length);
  await node.read(at, old);
  await readOrZero(below, at, next);
  for (let start = 0; start < length;) {
    const same = sameUnit(old, next, start);
    let end = Math.min(length, start + UNIT);
    while (end < length && sameUnit(old, next, end) === same) end = Math.min(length, end + UNIT);
    if (!same) await node.write(at + start, old.subarray(start, end));
    start = end;
  }
  return length;
}

function sameUnit(old: Uint8Array, next: Uint8Array, start: number): boolean {
  const end = Math.min(old.length, start + UNIT);
  return Buffer.compare(old.subarray(start, end), next.subarray(start, end)) === 0;
}

/** Zeroes of the overlay's own, where now only nothing shows through. */
async function keepZeroes(node: FormatNode, offset: number, length: number): Promise<void> {
  const end = offset + length;
  let from = end;
  let to = end;
  const { format } = node;
  if (format instanceof Qcow2Driver && format.state.header.version >= 3) {
    const { state } = format;
    from = Math.ceil(offset / state.clusterSize) * state.clusterSize;
    to =
      end === node.virtualSize
        ? Math.ceil(end / state.clusterSize) * state.clusterSize
        : end - (end % state.clusterSize);
    if (from < to) await node.alone(() => run(pinZeroes(state, from, to)));
    else from = to = end;
  }
  await writeZeroBytes(node, offset, Math.min(from, end));
  await writeZeroBytes(node, to, end);
}

async function writeZeroBytes(node: FormatNode, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += ZEROES.length) {
    await node.write(at, ZEROES.subarray(0, Math.min(ZEROES.length, to - at)));
  }
}
