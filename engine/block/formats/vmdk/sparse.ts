/** A sparse extent: a directory of grain tables, each of positions of grains. */
import { PlatterError } from '../../../errors.ts';
import { andThen, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { FormatDescription } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { ClusteredDriver, UNALLOCATED, ZERO, type ClusterState } from '../shared/clustered.ts';
import { badCompressed, inflateExactly } from '../shared/inflate.ts';
import { TableCache } from '../shared/table-cache.ts';
import { PagedTable } from '../shared/table.ts';
import type { SparseLayout } from './header.ts';

const ZEROED = 1;
/** Positions of grains are 32-bit sector numbers. */
const MAX_SECTOR = 2 ** 32;
/** Before a grain in a stream: its first sector (8 bytes), its packed length (4 bytes). */
const MARKER_BYTES = 12;

export class SparseExtent extends ClusteredDriver {
  readonly format = 'vmdk';
  readonly layout: SparseLayout;
  /** Called before the first change; the image's content identifier lives elsewhere. */
  readonly announcer: Announcer;
  readonly tables: TableCache;
  readonly directory: PagedTable;
  readonly backupDirectory: PagedTable | undefined;
  readonly #storage: Storage;

  /** `sectors`: how much of the disk it holds, as the descriptor says. */
  constructor(
    storage: Storage,
    layout: SparseLayout,
    sectors: number,
    readOnly: boolean,
    announcer: Announcer,
    backing?: BlockNode,
  ) {
    super({ storage, virtualSize: sectors * 512, clusterSize: layout.grain, readOnly, backing });
    this.layout = layout;
    this.announcer = announcer;
    this.#storage = storage;
    const entryBytes = layout.kind === 'sesparse' ? 8 : 4;
    const count = Math.ceil(layout.capacity / (layout.grain * layout.tableEntries));
    const table = (offset: number): PagedTable =>
      new PagedTable({ storage, offset, count, entryBytes, endian: 'little' });
    this.directory = table(layout.directory);
    this.backupDirectory = layout.backupDirectory === 0 ? undefined : table(layout.backupDirectory);
    this.tables = new TableCache(storage, layout.tableEntries * entryBytes);
  }

  lookup(index: number): Maybe<ClusterState> {
    const { tableEntries, capacity, grain } = this.layout;
    if (index * grain >= capacity) return UNALLOCATED;
    if (this.layout.kind === 'sesparse') return this.#lookupSesparse(index);
    return andThen(this.directory.get(Math.floor(index / tableEntries)), (sector) => {
      if (sector === 0) return UNALLOCATED;
      return andThen(this.tables.get(sector * 512), (table) => {
        const entry = table.getUint32((index % tableEntries) * 4, true);
        if (entry === 0) return UNALLOCATED;
        if (entry === ZEROED && this.layout.zeroGrain) return ZERO;
        return { kind: this.layout.compressed ? 'special' : 'data', hostOffset: entry * 512 };
      });
    });
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const index = Math.floor(offset / this.clusterSize);
    const inGrain = offset - index * this.clusterSize;
    return andThen(this.lookup(index), (state) =>
      andThen(this.#unpack(state.hostOffset as number, index), (grain) => {
        target.set(grain.subarray(inGrain, inGrain + target.length));
      }),
    );
  }

  describe(): FormatDescription {
    return { header: this.layout.fields, compressed: this.layout.compressed };
  }

  protected override get overwritable(): boolean {
    return !this.readOnly && this.announcer.announced;
  }

  protected override beforeChange(): Steps<void> {
    return this.announcer.announce();
  }

  protected *allocate(): Steps<number> {
    const host = alignUp(yield* wait(this.storage.size()), this.clusterSize);
    if (host / 512 >= MAX_SECTOR) throw this.#full();
    return host;
  }

  protected *link(index: number, hostOffset: number): Steps<void> {
    yield* this.setEntry(index, hostOffset / 512);
  }

  protected override *linkZero(index: number): Steps<boolean> {
    if (!this.layout.zeroGrain) return false;
    yield* this.setEntry(index, ZEROED);
    return true;
  }

  /** Enters a grain into its table, and into the second one where the extent keeps two. `sector`: where it lies. */
  protected *setEntry(index: number, sector: number): Steps<void> {
    for (const directory of [this.directory, this.backupDirectory]) {
      if (directory === undefined) continue;
      const number = Math.floor(index / this.layout.tableEntries);
      let table = yield* wait(directory.get(number));
      if (table === 0) {
        table = alignUp(yield* wait(this.storage.size()), 512) / 512;
        yield* wait(this.storage.truncate(table * 512 + this.tables.tableBytes));
        yield* wait(directory.set(number, table));
      }
      const at = (index % this.layout.tableEntries) * 4;
      yield* wait(this.tables.change(table * 512, at, 4, (view) => view.setUint32(at, sector, true)));
    }
  }

  #lookupSesparse(index: number): Maybe<ClusterState> {
    const { tableEntries, tables, grains, grain } = this.layout;
    return andThen(this.directory.getBig(Math.floor(index / tableEntries)), (entry): Maybe<ClusterState> => {
      if (entry === 0n) return UNALLOCATED;
      if (entry >> 32n !== 0x10000000n) throw this.#badEntry('grain directory', index, entry);
      const at = tables + Number(entry & 0xffffffffn) * this.tables.tableBytes;
      return andThen(this.tables.get(at), (table) => {
        const value = table.getBigUint64((index % tableEntries) * 8, true);
        const type = value >> 60n;
        if (value === 0n) return UNALLOCATED;
        if (type === 1n || type === 2n) return ZERO;
        if (type !== 3n) throw this.#badEntry('grain table', index, value);
        // The number's low 12 bits stand in bits 48 to 59, the rest in bits 0 to 47.
        const number = ((value >> 48n) & 0xfffn) | ((value & 0xffffffffffffn) << 12n);
        const host = BigInt(grains) + number * BigInt(grain);
        if (host > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#badEntry('grain table', index, value);
        return { kind: 'data', hostOffset: Number(host) };
      });
    });
  }

  /** A grain of a stream: marker and zlib data. The last grain of a disk may give fewer bytes. */
  #unpack(offset: number, index: number): Maybe<Uint8Array> {
    const limit = this.clusterSize * 2 + MARKER_BYTES;
    const where = { format: 'vmdk', image: this.#storage.name, offset };
    return andThen(this.#storage.size(), (size) => {
      if (offset >= size) throw badCompressed(where, 'it lies past the end of the file');
      const packed = new Uint8Array(Math.min(limit, size - offset));
      return andThen(this.#storage.read(offset, packed), () => {
        let start = 0;
        let length = packed.length;
        if (this.layout.markers) {
          if (packed.length < MARKER_BYTES) throw badCompressed(where, 'its marker is cut off');
          start = MARKER_BYTES;
          length = new DataView(packed.buffer).getUint32(8, true);
        }
        if (length === 0 || start + length > packed.length)
          throw badCompressed(where, `its length is ${length}`);
        const whole = Math.min(this.clusterSize, this.virtualSize - index * this.clusterSize);
        return unpackGrain(packed.subarray(start, start + length), this.clusterSize, whole, where);
      });
    });
  }

  #full(): PlatterError {
    const image = this.#storage.name;
    return new PlatterError('vmdk.extent-full', `"${image}" is full: a sparse extent holds at most 2 TiB`, {
      image,
    });
  }

  #badEntry(table: string, index: number, entry: bigint): PlatterError {
    const image = this.#storage.name;
    const value = `0x${entry.toString(16)}`;
    return new PlatterError(
      'vmdk.bad-entry',
      `The ${table} of "${image}" holds ${value} for grain ${index}, which means nothing`,
      {
        image,
        field: table,
        value,
        hint: 'The image is damaged: get another copy.',
      },
    );
  }
}

/** A whole grain, or for the last one of a disk at least the bytes that the disk has. */
function unpackGrain(
  packed: Uint8Array,
  grain: number,
  needed: number,
  where: { format: string; image: string; offset: number },
): Uint8Array {
  try {
    return inflateExactly(packed, grain, where);
  } catch (error) {
    if (needed === grain) throw error;
    return inflateExactly(packed, needed, where);
  }
}

/** Tells the world, once per opening, that the contents are about to change. */
export interface Announcer {
  readonly announced: boolean;
  announce(): Steps<void>;
}
