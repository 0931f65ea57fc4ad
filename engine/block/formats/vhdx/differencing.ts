/** Differencing VHDX, read only ([MS-VHDX] 2.5.1): a partially present block asks its sector bitmap, and the parent for the rest. */
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { PlatterError } from '../../../errors.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import { FULLY_PRESENT, NOT_PRESENT, PARTIALLY_PRESENT } from './blocks.ts';
import { describeVhdx, type VhdxParts } from './driver.ts';
import type { Parent } from './parent.ts';

/** Bytes of a bitmap read at once: enough for 32768 sectors. */
const BITMAP_PIECE = 4096;

export class VhdxDifferencingDriver implements FormatDriver {
  readonly format = 'vhdx';
  readonly readOnly = true;
  readonly virtualSize: number;
  readonly clusterSize: number;
  readonly backing: BlockNode;
  readonly storage: Storage;
  readonly parts: VhdxParts;
  readonly #parent: Parent;
  #piece: { offset: number; bits: Uint8Array } = { offset: -1, bits: new Uint8Array(0) };

  constructor(storage: Storage, parts: VhdxParts, parent: Parent) {
    this.storage = storage;
    this.parts = parts;
    this.virtualSize = parts.metadata.diskSize;
    this.clusterSize = parts.metadata.blockSize;
    this.backing = parent.node;
    this.#parent = parent;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    return run(this.#locate(offset, length, out));
  }

  flush(): void {
    // Nothing is ever written.
  }

  describe(): FormatDescription {
    return {
      ...describeVhdx(this.parts),
      backingFilename: this.#parent.reference,
      backingFormat: 'vhdx',
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
    const entry = yield* wait(this.parts.blocks.payload(index));
    if (entry.state === NOT_PRESENT) out.unallocated(reach);
    else if (entry.state === FULLY_PRESENT) out.data(reach, this.storage, entry.offset + inBlock, false);
    else if (entry.state !== PARTIALLY_PRESENT) out.zero(reach);
    else yield* this.#partial(index, entry.offset, inBlock, reach, out);
  }

  *#partial(index: number, block: number, inBlock: number, reach: number, out: ExtentSlot): Steps<void> {
    const { blocks, metadata } = this.parts;
    const sectorSize = metadata.logicalSectorSize;
    const bitmap = yield* wait(blocks.bitmap(index));
    if (bitmap.state !== FULLY_PRESENT) {
      throw new PlatterError(
        'vhdx.bad-block',
        `Block ${index} of "${this.storage.name}" is partial and has no sector bitmap`,
        {
          image: this.storage.name,
          field: `bat of block ${index}`,
          value: String(bitmap.state),
          expected: String(FULLY_PRESENT),
        },
      );
    }
    const first = blocks.firstBit(index, sectorSize);
    const here = yield* wait(this.#bit(bitmap.offset, first + Math.floor(inBlock / sectorSize)));
    let end = inBlock - (inBlock % sectorSize) + sectorSize;
    while (end < inBlock + reach) {
      if ((yield* wait(this.#bit(bitmap.offset, first + end / sectorSize))) !== here) break;
      end += sectorSize;
    }
    const part = Math.min(reach, end - inBlock);
    if (here) out.data(part, this.storage, block + inBlock, false);
    else out.unallocated(part);
  }

  /** Bit `bit` of the bitmap block at `offset`; the least significant bit of a byte comes first. */
  #bit(offset: number, bit: number): Maybe<boolean> {
    const byte = Math.floor(bit / 8);
    const start = offset + byte - (byte % BITMAP_PIECE);
    return andThen(this.#pieceAt(start), (bits) => (bits[byte % BITMAP_PIECE] & (1 << (bit % 8))) !== 0);
  }

  #pieceAt(offset: number): Maybe<Uint8Array> {
    if (this.#piece.offset === offset) return this.#piece.bits;
    const bits = new Uint8Array(BITMAP_PIECE);
    return andThen(this.storage.read(offset, bits), () => {
      this.#piece = { offset, bits };
      return bits;
    });
  }
}
