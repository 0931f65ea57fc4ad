/** An image as a person describes it, layer by layer (QAPI: BlockdevOptions). Never made of what stands in an image. */
import { PlatterError } from '../errors.ts';

export interface ImageTree {
  /** QEMU's driver name: a format, or `file` for the bytes of a file themselves. Left out: found out. */
  driver?: string;
  /** The file of a layer that is one. */
  filename?: string;
  /** What a format lies in: a file, or the disk of another format. */
  file?: ImageTree;
  /** Instead of the backing image that the image names; null: none. Without `file` it says more about the one that is named. */
  backing?: ImageTree | null;
  /** Instead of the external data file that the image names. */
  dataFile?: ImageTree;
  /** The stretch of its file that a raw disk shows, bytes. */
  window?: RawWindow;
  /** Of a vpc disk, whose two sizes may differ: which one counts (`force_size_calc`). Left out: as its maker would have it. */
  vpcSize?: VpcSize;
  /** The passphrase of this layer. */
  secret?: string;
  readOnly?: boolean;
}

/** The geometry, or the footer's `current_size`. */
export type VpcSize = 'chs' | 'current_size';

/** Bytes of the file; without `size` up to its end. */
export interface RawWindow {
  offset: number;
  size?: number;
}

/** The file that a layer is or lies in directly. Throws `block.no-file` where nothing says which. */
export function leafOf(tree: ImageTree): ImageTree & { filename: string } {
  const leaf = isLeaf(tree) ? tree : tree.file;
  if (leaf === undefined) {
    throw new PlatterError('block.no-file', `Nothing says where the ${tree.driver ?? 'image'} layer lies`, {
      option: 'file',
      hint: 'Give file.filename=…',
    });
  }
  if (isLeaf(leaf)) return leaf;
  return leafOf(leaf);
}

export function isLeaf(tree: ImageTree): tree is ImageTree & { filename: string } {
  return tree.filename !== undefined;
}
