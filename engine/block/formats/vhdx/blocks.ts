/** The block allocation table ([MS-VHDX] 2.5): payload blocks, and after every chunk of them a block of sector bitmaps. */
import { PlatterError } from '../../../errors.ts';
import { andThen, type Maybe } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { PagedTable } from '../shared/table.ts';
import { MIB, overlaps, type Region, type Regions, type VhdxHeader } from './header.ts';
import { HAS_PARENT, type VhdxMetadata } from './metadata.ts';

export const NOT_PRESENT = 0;
export const UNDEFINED = 1;
export const ZERO_BLOCK = 2;
export const UNMAPPED = 3;
/** What version 0.95 of the specification used for unmapped blocks. */
export const UNMAPPED_095 = 5;
export const FULLY_PRESENT = 6;
export const PARTIALLY_PRESENT = 7;

/** A table entry taken apart. `offset`: bytes in the file. */
export interface BatEntry {
  state: number;
  offset: number;
}

/** Payload blocks between two sector bitmap blocks. */
export function chunkRatio(metadata: Pick<VhdxMetadata, 'blockSize' | 'logicalSectorSize'>): number {
  return (2 ** 23 * metadata.logicalSectorSize) / metadata.blockSize;
}

/** Entries that the table of a disk needs. */
export function batEntries(metadata: VhdxMetadata): number {
  const ratio = chunkRatio(metadata);
  const blocks = Math.ceil(metadata.diskSize / metadata.blockSize);
  if ((metadata.flags & HAS_PARENT) !== 0) return Math.ceil(blocks / ratio) * (ratio + 1);
  return blocks === 0 ? 0 : blocks + Math.floor((blocks - 1) / ratio);
}

export class VhdxBlocks {
  readonly table: PagedTable;
  readonly blockSize: number;
  /** Payload blocks between two sector bitmap blocks. */
  readonly ratio: number;
  readonly #storage: Storage;
  readonly #reserved: Region[];
  /** The file's length when it was last looked at; it only grows. */
  #fileSize: number;

  constructor(
    storage: Storage,
    fileSize: number,
    header: VhdxHeader,
    regions: Regions,
    metadata: VhdxMetadata,
  ) {
    const entries = batEntries(metadata);
    const check = checkFields('vhdx', storage.name, () => regions.bat.offset);
    const room = Math.floor(Math.min(regions.bat.length, Math.max(0, fileSize - regions.bat.offset)) / 8);
    check.field(
      'block allocation table',
      `${room} entries`,
      entries <= room,
      `${entries} entries for this disk`,
    );
    this.table = new PagedTable({
      storage,
      offset: regions.bat.offset,
      count: entries,
      entryBytes: 8,
      endian: 'little',
    });
    this.blockSize = metadata.blockSize;
    this.#storage = storage;
    this.ratio = chunkRatio(metadata);
    this.#fileSize = fileSize;
    const log = { name: 'log', offset: header.log_offset, length: header.log_length };
    this.#reserved = [{ name: 'header section', offset: 0, length: MIB }, log, regions.bat, regions.metadata];
  }

  /** The entry of payload block `index`; one that is present lies within the file and outside the format's own regions. */
  payload(index: number): Maybe<BatEntry> {
    return this.#entry(index + Math.floor(index / this.ratio));
  }

  /** The entry of the sector bitmap block that serves payload block `index`. */
  bitmap(index: number): Maybe<BatEntry> {
    return this.#entry(Math.floor(index / this.ratio) * (this.ratio + 1) + this.ratio);
  }

  /** The bit of payload block `index`'s first sector within its bitmap block. `sectorSize` in bytes. */
  firstBit(index: number, sectorSize: number): number {
    return (index % this.ratio) * (this.blockSize / sectorSize);
  }

  /** Points payload block `index` at `offset` (bytes, a multiple of 1 MiB) of the file. */
  setPayload(index: number, state: number, offset: number): Maybe<void> {
    return this.table.setBig(index + Math.floor(index / this.ratio), BigInt(offset) | BigInt(state));
  }

  /** Why a block at `offset` cannot be, in words; undefined when it can. */
  fault(offset: number): Maybe<string | undefined> {
    const region = this.#reserved.find((one) => overlaps(one, offset, this.blockSize));
    if (region !== undefined) return `overlaps the ${region.name}`;
    if (offset < this.#fileSize) return undefined;
    return andThen(this.#storage.size(), (size) => {
      this.#fileSize = size;
      return offset < size ? undefined : `lies past the end of the file at ${size}`;
    });
  }

  #entry(index: number): Maybe<BatEntry> {
    return andThen(this.table.getBig(index), (raw) => {
      const entry = { state: Number(raw & 7n), offset: Number(raw >> 20n) * MIB };
      if (entry.state !== FULLY_PRESENT && entry.state !== PARTIALLY_PRESENT) return entry;
      return andThen(this.fault(entry.offset), (why) => {
        if (why !== undefined) throw this.#bad(index, entry.offset, why);
        return entry;
      });
    });
  }

  #bad(index: number, offset: number, why: string): PlatterError {
    const image = this.#storage.name;
    return new PlatterError(
      'vhdx.bad-block',
      `Entry ${index} of the block table of "${image}" points at ${offset}, which ${why}`,
      {
        image,
        field: `bat[${index}]`,
        offset: this.table.offset + index * 8,
        value: String(offset),
        hint: 'The file is truncated or damaged: get a complete copy.',
      },
    );
  }
}
