/**
 * `convert`: the guest-visible contents of any node into a new image, or into one that is there. A job that ends early leaves nothing
 * under a new image's final name.
 */
import { PlatterError } from '../../errors.ts';
import type { FormatNode } from '../access.ts';
import type { CreateOptions } from '../format.ts';
import { ConcatNode } from '../filters/concat.ts';
import type { Gate } from '../gate.ts';
import type { BlockNode } from '../node.ts';
import { copyBitmaps, type BitmapCopy } from './convert-bitmaps.ts';
import { copyContents, type CopyOptions } from './copy.ts';
import { backingFacts } from './create.ts';
import { newImage } from './new-image.ts';

/** What `convert` and `convertInto` share. */
interface ContentOptions extends Pick<
  CopyOptions,
  'signal' | 'onProgress' | 'sparse' | 'rate' | 'onUnreadable'
> {
  /** Write compressed clusters (qcow2, streamOptimized vmdk). qemu-img's `-c`. */
  compress?: boolean;
  /** Copy the persistent bitmaps, too; `skip-broken` leaves out those that cannot be trusted. Only of a single qcow2 source. */
  bitmaps?: BitmapCopy;
}

export interface ConvertOptions extends ContentOptions {
  /** QEMU's driver name of the target. Default `raw`. */
  format?: string;
  /**
   * As `qemu-img convert -o`, without `size`; secrets stand for themselves. With `backing_file` only what the source's own layer holds
   * is copied: the backing file must show what the source's backing chain shows.
   */
  create?: Omit<CreateOptions, 'size'>;
  /** Replace a file that exists. Default: throw `storage.exists`. */
  overwrite?: boolean;
  /** Asked before the target's backing file is opened. Default: deny. */
  gate?: Gate;
}

/** Throws `convert.*`, `bitmap.*`, `storage.*`, `block.*`, `gate.denied` and `job.cancelled`. */
export async function convert(source: BlockNode, path: string, options: ConvertOptions = {}): Promise<void> {
  const format = options.format ?? 'raw';
  const create = { ...options.create };
  const backed = create['backing_file'] !== undefined && create['backing_file'] !== '';
  checkTogether(source, create, backed, options);
  const facts = backed ? await backingFacts(path, { ...options, create, format }) : undefined;
  const size = Math.ceil(source.virtualSize / SECTOR) * SECTOR;
  // A raw target has every byte that a raw source has, and no more.
  const exact = format === 'raw' ? source.virtualSize : size;
  const image = await newImage(path, {
    format,
    create: { ...create, ...facts?.more, size: exact },
    overwrite: options.overwrite,
    gate: options.gate,
  });
  try {
    const { node, settle } = await image.openToFill({ backing: 'tolerate' });
    try {
      const noise = image.descriptor.startsAsNoise === true || isNoise(create);
      await fill(source, node, { ...options, settle }, backed ? 'backing' : noise ? 'noise' : 'zero');
    } finally {
      await node.close();
    }
    image.commit();
  } catch (error) {
    image.discard();
    throw error;
  }
}

/**
 * The same into an image that is there and open for writing (`qemu-img convert -n`). It keeps what it has behind the source's end.
 * `zeroed`: the caller knows that it reads as zeroes, so that none are written. Throws `convert.target-too-small` and what `convert` throws.
 */
export async function convertInto(
  source: BlockNode,
  target: FormatNode,
  options: ContentOptions & { zeroed?: boolean; backed?: boolean } = {},
): Promise<void> {
  if (target.virtualSize < source.virtualSize) {
    throw new PlatterError(
      'convert.target-too-small',
      `"${target.name}" has ${target.virtualSize} bytes, the source ${source.virtualSize}`,
      {
        image: target.name,
        value: `${target.virtualSize} bytes`,
        expected: `at least ${source.virtualSize} bytes`,
      },
    );
  }
  await fill(
    source,
    target,
    options,
    options.backed === true ? 'backing' : options.zeroed ? 'zero' : 'noise',
  );
}

const SECTOR = 512;

async function fill(
  source: BlockNode,
  target: FormatNode,
  options: ContentOptions & Pick<CopyOptions, 'settle'>,
  blank: NonNullable<CopyOptions['blank']>,
): Promise<void> {
  const { packer } = target.format;
  if (options.compress === true && packer === undefined) {
    throw new PlatterError(
      'convert.cannot-compress',
      `"${target.name}" cannot hold compressed clusters: its format is ${target.driver}, or its options forbid them`,
      { image: target.name, option: 'compress', value: target.driver, expected: 'qcow2 or vmdk' },
    );
  }
  const bitmaps = options.bitmaps === undefined ? undefined : copyBitmaps(source, target, options.bitmaps);
  const packs = options.compress === true || packer?.always === true;
  const sparse = blank === 'noise' && target.driver !== 'qcow2' ? 0 : options.sparse;
  await copyContents(source, target, { ...options, sparse, blank, packer: packs ? packer : undefined });
  await bitmaps?.();
}

/** What a preallocated encrypted image shows is whatever its blank clusters decrypt to. */
function isNoise(create: Omit<CreateOptions, 'size'>): boolean {
  const preallocation = create['preallocation'];
  return create['encrypt.format'] !== undefined && preallocation !== undefined && preallocation !== 'off';
}

/** What does not go together (QEMU: img_convert). */
function checkTogether(
  source: BlockNode,
  create: Omit<CreateOptions, 'size'>,
  backed: boolean,
  options: ConvertOptions,
): void {
  const refuse = (option: string, message: string, expected: string): PlatterError =>
    new PlatterError('convert.not-together', message, { option, expected });
  if (backed && source instanceof ConcatNode) {
    throw refuse('backing_file', 'Several sources in a row cannot stand on one backing file', 'one source');
  }
  if (options.compress !== true) return;
  if (create['encrypt.format'] !== undefined) {
    throw refuse('compress', 'Compressed clusters are not encrypted', 'compression or encryption, not both');
  }
  const preallocation = create['preallocation'];
  if (preallocation !== undefined && preallocation !== 'off') {
    throw refuse('compress', 'Compressed clusters have no place beforehand', 'preallocation=off');
  }
}
