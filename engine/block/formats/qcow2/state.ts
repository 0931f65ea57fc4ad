/** One open qcow2 image: what all its parts share. */
import { PlatterError } from '../../../errors.ts';
import type { BlockNode } from '../../node.ts';
import type { Limits } from '../../limits.ts';
import type { Storage } from '../../storage/storage.ts';
import { isPromise, run, type Maybe } from '../../../maybe.ts';
import { BitmapTracker } from './bitmaps/tracker.ts';
import type { BitmapRecord } from './bitmaps/directory.ts';
import { TableCache } from './cache.ts';
import type { Qcow2Encryption } from './encryption.ts';
import { writeBackInOrder } from './order.ts';
import { AUTOCLEAR, COPIED_HIGH, OFFSET_HIGH, OFFSET_LOW, TABLE_ENTRY } from './constants.ts';
import { corruptEntry } from './errors.ts';
import type { Extensions } from './extensions.ts';
import { hasExtendedL2, type Qcow2Header } from './header.ts';
import type { MetadataMap } from './overlap.ts';
import type { Refcounts } from './refcount.ts';
import type { SnapshotRecord } from './snapshots.ts';

/** Bytes of a cached piece of an L2 table or refcount block (QEMU's `l2-cache-entry-size`, which may go down to 512). */
const SLICE = 4096;

export interface StateParts {
  storage: Storage;
  image: string;
  readOnly: boolean;
  header: Qcow2Header;
  extensions: Extensions;
  l1: Uint8Array;
  snapshots: SnapshotRecord[];
  limits: Limits;
}

export class Qcow2State {
  readonly storage: Storage;
  readonly image: string;
  readonly readOnly: boolean;
  readonly header: Qcow2Header;
  readonly extensions: Extensions;
  readonly limits: Limits;
  snapshots: SnapshotRecord[];
  /** The persistent bitmaps; undefined when their directory cannot be read. */
  bitmaps: BitmapRecord[] | undefined = [];
  readonly tracker: BitmapTracker;
  /** The active L1 table, as in the file. */
  l1: Uint8Array;
  l1View: DataView;
  readonly clusterSize: number;
  readonly extendedL2: boolean;
  /** Bytes of one L2 entry, entries of one L2 table, guest bytes of one L2 table. */
  readonly l2EntryBytes: number;
  readonly l2Entries: number;
  readonly l2Coverage: number;
  readonly mapping: TableCache;
  /** Where data clusters lie, as the guest has them: the image itself or its external data file, decrypted where it is encrypted. */
  dataStorage: Storage;
  /** Set when the data clusters are encrypted. */
  encryption: Qcow2Encryption | undefined;
  #external = false;
  /** As it stands in the image. */
  backingName: string | undefined;
  backing: BlockNode | undefined;
  backingError: PlatterError | undefined;
  /** Set when open for writing. */
  refcounts: Refcounts | undefined;
  metadata: MetadataMap | undefined;
  /** Guest bytes as they are now, backing chain included; set by the driver. */
  readGuest: (offset: number, target: Uint8Array) => Maybe<void>;
  /** Whether the range reads as zeroes for certain, told by the tables alone. */
  readsAsZero: (offset: number, length: number) => Maybe<boolean>;
  /** L1 entries that changed in memory; written after the L2 tables that they point to. */
  readonly dirtyL1 = new Set<number>();
  /** Ranges whose reference count falls by one as soon as nothing on stable storage points there any more: offset, length. */
  pendingFrees: [number, number][] = [];
  /** The file has at least this many bytes; it shrinks only where an operation that is alone with the image cuts it (trim.ts). */
  knownSize = 0;
  /** Where the next compressed cluster may begin within a cluster that holds others; 0 when there is none. Bytes. */
  packedEnd = 0;
  /** Damage was found while writing: nothing more is written. */
  broken: PlatterError | undefined;

  #writingBack: Promise<void> | undefined;

  constructor(parts: StateParts) {
    const unset = (): never => {
      throw new Error('the driver is not open yet');
    };
    this.readGuest = unset;
    this.readsAsZero = unset;
    this.tracker = new BitmapTracker(this);
    this.storage = parts.storage;
    this.dataStorage = parts.storage;
    this.image = parts.image;
    this.readOnly = parts.readOnly;
    this.header = parts.header;
    this.extensions = parts.extensions;
    this.limits = parts.limits;
    this.snapshots = parts.snapshots;
    this.l1 = parts.l1;
    this.l1View = new DataView(parts.l1.buffer, parts.l1.byteOffset, parts.l1.byteLength);
    this.clusterSize = 2 ** parts.header.clusterBits;
    this.extendedL2 = hasExtendedL2(parts.header);
    this.l2EntryBytes = this.extendedL2 ? 16 : 8;
    this.l2Entries = this.clusterSize / this.l2EntryBytes;
    this.l2Coverage = this.l2Entries * this.clusterSize;
    this.mapping = new TableCache({
      storage: parts.storage,
      what: 'L2 table',
      sliceBytes: Math.min(SLICE, this.clusterSize),
      limitBytes: parts.limits.mappingCacheBytes,
      beforeWrite: (offset, length) => this.metadata?.checkTableWrite('active L2 table', offset, length),
      makeRoom: () => this.writeBack(),
    });
  }

  /** Another active L1 table, in memory; all that was known of the old one's L2 tables is forgotten. Nothing may be unwritten. */
  useL1(l1: Uint8Array): void {
    this.l1 = l1;
    this.l1View = new DataView(l1.buffer, l1.byteOffset, l1.byteLength);
    this.mapping.forgetAll();
    this.metadata?.useL1();
  }

  /** The guest's disk; QEMU's sectors cut odd sizes down. */
  get virtualSize(): number {
    return this.header.size - (this.header.size % 512);
  }

  /** All changed metadata into the file, in the order that keeps it sound at every moment. */
  writeBack(): Maybe<void> {
    // Readers of a slow storage may all need room in the cache at once: one settles for all.
    if (this.#writingBack !== undefined) return this.#writingBack;
    const done = run(writeBackInOrder(this));
    if (!isPromise(done)) return;
    this.#writingBack = done.finally(() => {
      this.#writingBack = undefined;
    });
    return this.#writingBack;
  }

  get externalData(): boolean {
    return this.#external;
  }

  /** The data clusters lie in this file. */
  useDataFile(storage: Storage): void {
    this.dataStorage = storage;
    this.#external = true;
  }

  /** Guest offset and offset in the external data file are the same (autoclear bit `data_file_raw`). */
  get rawExternalData(): boolean {
    return this.externalData && (this.header.autoclear & AUTOCLEAR.dataFileRaw) !== 0n;
  }

  /** Byte of the L2 table in the file that maps `l1Index`, 0 for none. Throws when the entry cannot be. */
  l2Offset(l1Index: number): number {
    const high = this.l1View.getUint32(l1Index * TABLE_ENTRY) & OFFSET_HIGH;
    const low = (this.l1View.getUint32(l1Index * TABLE_ENTRY + 4) & OFFSET_LOW) >>> 0;
    const offset = high * 2 ** 32 + low;
    if (offset % this.clusterSize !== 0) {
      throw corruptEntry(
        this.image,
        'L1',
        this.l1EntryAt(l1Index),
        `points to ${offset}, not a cluster's start`,
      );
    }
    return offset;
  }

  /** The L2 table belongs to the active state alone and may be changed in place. */
  l2IsOwn(l1Index: number): boolean {
    return (this.l1View.getUint32(l1Index * TABLE_ENTRY) & COPIED_HIGH) !== 0;
  }

  /** Byte of an L1 entry in the file. */
  l1EntryAt(l1Index: number): number {
    return this.header.l1TableOffset + l1Index * TABLE_ENTRY;
  }

  /** Byte in the file of the slice that holds the L2 entry of guest `offset`, given its table's. */
  sliceOffset(l2Table: number, offset: number): number {
    const byte = this.entryByte(offset);
    return l2Table + byte - (byte % this.mapping.sliceBytes);
  }

  /** Byte of the L2 entry of guest `offset` within its slice. */
  entryInSlice(offset: number): number {
    return this.entryByte(offset) % this.mapping.sliceBytes;
  }

  /** Byte of the L2 entry of guest `offset` within its table. */
  entryByte(offset: number): number {
    return Math.floor((offset % this.l2Coverage) / this.clusterSize) * this.l2EntryBytes;
  }
}
