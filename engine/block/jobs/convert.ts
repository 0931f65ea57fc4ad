/**
 * `convert`: the guest-visible contents of any node into a new image. Zeroes are not written; a job that ends early leaves nothing
 * under the final name.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { alignedBuffer } from '../../bytes/aligned.ts';
import { isZero } from '../../bytes/zeroes.ts';
import { PlatterError } from '../../errors.ts';
import { run } from '../../maybe.ts';
import type { CreateOptions } from '../format.ts';
import { formatByName } from '../formats/registry.ts';
import { openImage } from '../graph.ts';
import { extentAt } from '../map.ts';
import type { BlockNode } from '../node.ts';
import { JobPace, type JobOptions } from './job.ts';
import { createNewFile } from './new-file.ts';
import { Siblings } from './siblings.ts';

export interface ConvertOptions extends JobOptions {
  /** QEMU's driver name of the target. Default `raw`. */
  format?: string;
  /** As `qemu-img convert -o`, without `size`. */
  create?: Omit<CreateOptions, 'size'>;
  /** Replace a file that exists. Default: throw `storage.exists`. */
  overwrite?: boolean;
  /** Zero runs of this many bytes (a multiple of 512) are left out; 0 writes everything. qemu-img's `-S`. Default 4096. */
  sparse?: number;
}

/** Bytes read at a time. */
const PIECE = 2 << 20;

/** Throws `storage.*`, `block.*` and `job.cancelled`. */
export async function convert(source: BlockNode, path: string, options: ConvertOptions = {}): Promise<void> {
  const target = formatByName(options.format ?? 'raw');
  if (target.create === undefined) {
    throw new PlatterError('block.cannot-create', `Images of the format ${target.name} cannot be written`, {
      option: 'format',
      value: target.name,
    });
  }
  if (options.overwrite !== true && existsSync(path)) {
    throw new PlatterError('storage.exists', `"${basename(path)}" exists already (open)`, {
      image: basename(path),
      errno: 'EEXIST',
      hint: 'Choose another name.',
    });
  }
  const file = createNewFile(path, options.overwrite ?? false);
  const siblings = new Siblings(path);
  try {
    await target.create(file.storage, { ...options.create, size: source.virtualSize }, siblings);
    file.storage.close();
    const node = await openTarget(file.path, target.name, siblings, options);
    try {
      const sparse = target.startsAsNoise === true ? 0 : options.sparse;
      await copyContents(source, node, { ...options, sparse });
    } finally {
      await node.close();
    }
    file.commit();
  } catch (error) {
    file.discard();
    siblings.discard();
    throw error;
  }
}

async function openTarget(
  path: string,
  format: string,
  siblings: Siblings,
  options: ConvertOptions,
): Promise<BlockNode> {
  const passphrase = options.create?.['key-secret'];
  const secret = passphrase === undefined ? undefined : () => String(passphrase);
  const opened = await openImage(path, { format, readOnly: false, gate: siblings.gate, secret });
  return opened.node;
}

/** Copies everything that is not zero into a target that reads as zeroes. */
export async function copyContents(
  source: BlockNode,
  target: BlockNode,
  options: Pick<ConvertOptions, 'sparse' | 'signal' | 'onProgress'>,
): Promise<void> {
  const pace = new JobPace(options);
  const total = source.virtualSize;
  const buffer = alignedBuffer(PIECE);
  const sparse = options.sparse ?? 4096;
  pace.check();
  for (let at = 0; at < total;) {
    const extent = await run(extentAt(source, at, total - at));
    const skip = sparse > 0 && !extent.data && extent.zero;
    const length = skip ? extent.length : Math.min(extent.length, PIECE - (at % PIECE));
    if (!skip) {
      const piece = buffer.subarray(0, length);
      const read = source.read(at, piece);
      if (read !== undefined) await read;
      await writeSparse(target, at, piece, sparse);
    }
    at += length;
    await pace.step(at, total);
  }
  options.onProgress?.(total, total);
  pace.check();
}

/** Writes the stretches between zero blocks, each in one call. */
async function writeSparse(
  target: BlockNode,
  offset: number,
  piece: Uint8Array,
  block: number,
): Promise<void> {
  if (block === 0) {
    await target.write(offset, piece);
    return;
  }
  let start = -1;
  for (let at = 0; at <= piece.length; at += block) {
    const zero = at >= piece.length || isZero(piece.subarray(at, Math.min(at + block, piece.length)));
    if (!zero && start < 0) start = at;
    if (zero && start >= 0) {
      const done = target.write(offset + start, piece.subarray(start, Math.min(at, piece.length)));
      if (done !== undefined) await done;
      start = -1;
    }
  }
  // The loop ends at a multiple of the block; a shorter tail is still open.
  if (start >= 0) await target.write(offset + start, piece.subarray(start));
}
