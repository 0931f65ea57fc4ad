/**
 * Differencing VHD, read only: a sector is here when its bit in the block's bitmap is set, and in the parent otherwise. QEMU opens
 * such an image as if it had no parent; Hyper-V and libvhdi read it as this does.
 */
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { PlatterError } from '../../../errors.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import type { PagedTable } from '../shared/table.ts';
import { bitmapBytes, blockTable } from './driver.ts';
import { describeVhd, VHD_UNALLOCATED, type VhdDynamicHeader, type VhdHeaders } from './header.ts';

/** The parent as it was found: its name in the image, the open node, and why it could not be opened. */
export interface Parent {
  reference: string;
  node: BlockNode;
  error?: PlatterError;
}

export class VpcDifferencingDriver implements FormatDriver {
  readonly format = 'vpc';
  readonly readOnly = true;
  readonly virtualSize: number;
  readonly clusterSize: number;
  readonly backing: BlockNode;
  readonly storage: Storage;
  readonly headers: VhdHeaders;
  readonly #parent: Parent;
  readonly #table: PagedTable;
  /** The bitmap of the block that was asked for last. */
  #bitmap: { sector: number; bits: Uint8Array } = { sector: -1, bits: new Uint8Array(0) };

  constructor(storage: Storage, headers: VhdHeaders, header: VhdDynamicHeader, parent: Parent) {
    this.storage = storage;
    this.headers = headers;
    this.virtualSize = headers.virtualSize;
    this.clusterSize = header.block_size;
    this.backing = parent.node;
    this.#parent = parent;
    this.#table = blockTable(storage, header);
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    return run(this.#locate(offset, length, out));
  }

  flush(): void {
    // Nothing is ever written.
  }

  describe(): FormatDescription {
    return {
      header: describeVhd(this.headers),
      backingFilename: this.#parent.reference,
      backingFormat: 'vpc',
      backingError: this.#parent.error,
    };
  }

  close(): Maybe<void> {
    return this.storage.close();
  }

  *#locate(offset: number, length: number, out: ExtentSlot): Steps<void> {
    const index = Math.floor(offset / this.clusterSize);
    const inBlock = offset - index * this.clusterSize;
    const reach = Math.min(length, this.clusterSize - inBlock);
    const block = yield* wait(this.#table.get(index));
    if (block === VHD_UNALLOCATED) {
      out.unallocated(reach);
      return;
    }
    const bits = yield* wait(this.#bitmapOf(block));
    const here = hasBit(bits, Math.floor(inBlock / 512));
    let end = inBlock - (inBlock % 512) + 512;
    while (end < inBlock + reach && hasBit(bits, end / 512) === here) end += 512;
    const part = Math.min(reach, end - inBlock);
    if (here) out.data(part, this.storage, block * 512 + bitmapBytes(this.clusterSize) + inBlock, false);
    else out.unallocated(part);
  }

  #bitmapOf(block: number): Maybe<Uint8Array> {
    if (this.#bitmap.sector === block) return this.#bitmap.bits;
    const bits = new Uint8Array(bitmapBytes(this.clusterSize));
    return andThen(this.storage.read(block * 512, bits), () => {
      this.#bitmap = { sector: block, bits };
      return bits;
    });
  }
}

/** Bit `sector` of a block's bitmap; the most significant bit of a byte comes first. */
function hasBit(bits: Uint8Array, sector: number): boolean {
  return (bits[sector >> 3] & (0x80 >> (sector & 7))) !== 0;
}
