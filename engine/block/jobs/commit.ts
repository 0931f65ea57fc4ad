/**
 * `qemu-img commit`: what an overlay holds is written into an image below it, and the overlay is emptied.
 *
 * The overlay hides whatever is written below it, so the disk that it shows is the same at every moment; it is emptied only when
 * all of it is on stable storage below.
 */
import { basename } from 'node:path';
import { alignedBuffer } from '../../bytes/aligned.ts';
import { PlatterError } from '../../errors.ts';
import { run } from '../../maybe.ts';
import type { FormatNode } from '../access.ts';
import { emptyQcow2 } from '../formats/qcow2/empty.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { openImage, type OpenOptions } from '../graph.ts';
import type { ImageTree } from '../image-tree.ts';
import { extentAt } from '../map.ts';
import { chainOf, findInChain, type ChainImage } from './chain.ts';
import { JobPace, type JobOptions } from './job.ts';
import { RateLimit } from './rate.ts';
import { resizeImage } from './resize.ts';

export interface CommitOptions
  extends JobOptions, Pick<OpenOptions, 'format' | 'gate' | 'secret' | 'limits'> {
  /** The image of the chain to write into. Default: the overlay's own backing image. Implies `keep`, as qemu-img's `-b`. */
  base?: string;
  /** Leave the overlay as it is: qemu-img's `-d`. */
  keep?: boolean;
  /** Most bytes a second; 0 or undefined: no limit. */
  rate?: number;
}

export interface CommitResult {
  /** The path of the image that was written into. */
  base: string;
  /** The overlay holds nothing of its own any more. Only qcow2 can be emptied. */
  emptied: boolean;
}

const PIECE = 2 << 20;

/**
 * `image`: the overlay. Opens it and its backing image for writing, everything through the gate. Throws `commit.no-backing`,
 * `commit.not-in-chain`, `storage.*`, `job.cancelled`; the overlay then still shows what it showed.
 */
export async function commitImage(
  image: string | ImageTree,
  options: CommitOptions = {},
): Promise<CommitResult> {
  const { format, gate, secret, limits } = options;
  const { node: top } = await openImage(image, { format, gate, secret, limits, readOnly: false });
  try {
    const base = await findBase(top, options.base);
    const target = base.path ?? '';
    const below: OpenOptions = { format: base.node.driver, gate, secret, limits, readOnly: false };
    const described = typeof image === 'string' ? undefined : treeBelow(image, base.depth);
    const grown = await openGrown(described ?? target, top.virtualSize, below);
    try {
      await copyAbove(top, grown, base, options);
      await grown.flush();
    } finally {
      await grown.close();
    }
    const emptied = options.keep !== true && options.base === undefined && (await empty(top));
    return { base: target, emptied };
  } finally {
    await top.close();
  }
}

async function findBase(top: FormatNode, name: string | undefined): Promise<ChainImage> {
  const images = chainOf(top);
  const found = name === undefined ? images[1] : await findInChain(images, name);
  if (found?.path !== undefined) return found;
  if (name !== undefined) {
    throw new PlatterError('commit.not-in-chain', `"${name}" is not in the backing chain of "${top.name}"`, {
      image: top.name,
      value: name,
      expected: images
        .slice(1)
        .flatMap(({ path }) => (path === undefined ? [] : [basename(path)]))
        .join(', '),
    });
  }
  throw new PlatterError('commit.no-backing', `"${top.name}" has no backing file to commit to`, {
    image: top.name,
    field: 'backing file',
  });
}

/** What a person said of the layer that many images further down, where that names the file. */
function treeBelow(tree: ImageTree, depth: number): ImageTree | undefined {
  let at: ImageTree | null | undefined = tree;
  for (let count = 0; count < depth; count++) at = at?.backing;
  return at?.file === undefined ? undefined : at;
}

/** The base, of at least `size` bytes; what is added reads as zeroes. */
async function openGrown(image: string | ImageTree, size: number, options: OpenOptions): Promise<FormatNode> {
  const { node } = await openImage(image, options);
  if (node.virtualSize >= size) return node;
  try {
    await resizeImage(node, size);
  } finally {
    await node.close();
  }
  const grown = await openImage(image, options);
  return grown.node;
}

/** Everything that lies above `base` in the chain. */
async function copyAbove(
  top: FormatNode,
  target: FormatNode,
  base: ChainImage,
  options: CommitOptions,
): Promise<void> {
  const pace = new JobPace(options);
  const rate = new RateLimit(options.rate, options.signal);
  const total = top.virtualSize;
  const oldEnd = base.node.virtualSize;
  const buffer = alignedBuffer(PIECE);
  pace.check();
  for (let at = 0; at < total;) {
    const extent = await run(extentAt(top, at, total - at));
    let { length } = extent;
    // Behind the old end of the base there are zeroes anyway.
    const nothing = !extent.present && at >= oldEnd;
    if (extent.depth < base.depth && !nothing) {
      if (extent.zero && !extent.data) {
        if (!extent.present) length = Math.min(length, oldEnd - at);
        await target.writeZeroes(at, length, true);
      } else {
        length = Math.min(length, PIECE - (at % PIECE));
        await rate.take(length);
        const piece = buffer.subarray(0, length);
        await top.read(at, piece);
        await target.write(at, piece);
      }
    }
    at += length;
    await pace.step(at, total);
  }
  options.onProgress?.(total, total);
  pace.check();
}

async function empty(top: FormatNode): Promise<boolean> {
  const { format } = top;
  if (!(format instanceof Qcow2Driver) || format.state.refcounts === undefined) return false;
  const { state } = format;
  const { refcounts } = format.state;
  await top.alone(() => run(emptyQcow2(state, refcounts)));
  return true;
}
