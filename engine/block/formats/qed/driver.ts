/** QED: two levels of 64-bit cluster offsets, nothing else (QEMU `block/qed.c`). */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CheckResult, ExtentSlot, FormatDescription, OpenedBacking } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { ClusteredDriver, UNALLOCATED, ZERO, type ClusterState } from '../shared/clustered.ts';
import { TableCache } from '../shared/table-cache.ts';
import { checkQed } from './check.ts';
import {
  BACKING_RAW,
  describeQedHeader,
  NEED_CHECK,
  qedHeader,
  tableEntries,
  type QedHeader,
  type QedImage,
} from './header.ts';

/** Tables may be as large as 1 GiB; they are cached in pieces of the smallest cluster. */
const PIECE = 4096;
const ZERO_CLUSTER = 1n;

export class QedDriver extends ClusteredDriver {
  readonly format = 'qed';
  readonly image: QedImage;
  readonly entries: number;
  readonly #pieces: TableCache;
  /** The file was at least so large when it was last looked at, bytes. */
  #fileEnd = 0;
  readonly #backingError?: PlatterError;

  constructor(storage: Storage, image: QedImage, readOnly: boolean, backing?: OpenedBacking) {
    const { image_size: virtualSize, cluster_size: clusterSize } = image.header;
    super({ storage, virtualSize, clusterSize, readOnly, backing: backing?.node });
    this.image = image;
    this.entries = tableEntries(image.header);
    this.#pieces = new TableCache(storage, PIECE);
    this.#backingError = backing?.error;
  }

  get header(): QedHeader {
    return this.image.header;
  }

  /** Where the L1 table has nothing, one answer says so for all the clusters of those tables. */
  override locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const perTable = this.entries * this.clusterSize;
    let end = offset;
    while (end < offset + length) {
      const index = Math.floor(end / perTable);
      const table = this.entry(this.header.l1_table_offset, index);
      if (table !== 0n) break;
      end = (index + 1) * perTable;
    }
    if (end === offset) return super.locate(offset, length, out);
    out.unallocated(Math.min(length, end - offset));
  }

  lookup(index: number): Maybe<ClusterState> {
    return andThen(this.entry(this.header.l1_table_offset, Math.floor(index / this.entries)), (table) => {
      if (table === 0n) return UNALLOCATED;
      return andThen(this.#checked(table, 'L1'), (at) =>
        andThen(this.entry(at, index % this.entries), (cluster) => {
          if (cluster === 0n) return UNALLOCATED;
          if (cluster === ZERO_CLUSTER) return ZERO;
          return andThen(this.#checked(cluster, 'L2'), (hostOffset) => ({ kind: 'data', hostOffset }));
        }),
      );
    });
  }

  /** Entry `index` of the table at `table`, bytes. */
  entry(table: number, index: number): Maybe<bigint> {
    const at = index * 8;
    return andThen(this.#pieces.get(table + at - (at % PIECE)), (piece) =>
      piece.getBigUint64(at % PIECE, true),
    );
  }

  /** Changes an entry, in the cache and in the image. */
  setEntry(table: number, index: number, value: bigint): Maybe<void> {
    const at = index * 8;
    const inPiece = at % PIECE;
    return this.#pieces.change(table + at - inPiece, inPiece, 8, (piece) =>
      piece.setBigUint64(inPiece, value, true),
    );
  }

  describe(): FormatDescription {
    const { header, backingFile } = this.image;
    return {
      dirty: (header.features & NEED_CHECK) !== 0n,
      header: describeQedHeader(header),
      backingFilename: backingFile,
      backingFormat: (header.features & BACKING_RAW) === 0n ? undefined : 'raw',
      backingError: this.#backingError,
    };
  }

  check(): Maybe<CheckResult> {
    return run(checkQed(this, false));
  }

  /** `qemu-img check -r all`: entries that point nowhere are cleared, then the image is marked clean. */
  repair(): Maybe<CheckResult> {
    return run(this.#repair());
  }

  override close(): Maybe<void> {
    return run(this.#close());
  }

  /** Sets or clears the bit that makes the next opening look the image through. */
  *markDirty(dirty: boolean): Steps<void> {
    const { header } = this.image;
    const features = dirty ? header.features | NEED_CHECK : header.features & ~NEED_CHECK;
    if (features === header.features) return;
    this.image.header = { ...header, features };
    yield* wait(this.storage.write(0, qedHeader.encode(this.image.header)));
    yield* wait(this.storage.flush());
  }

  /** Another size of the disk in the header, bytes; the node must be opened anew to see it. */
  *resize(size: number): Steps<void> {
    this.image.header = { ...this.header, image_size: size };
    yield* wait(this.storage.flush());
    yield* wait(this.storage.write(0, qedHeader.encode(this.image.header)));
    yield* wait(this.storage.flush());
  }

  /** Until the tables are stable, a crash may leave entries to clusters that were never written. */
  protected override *beforeChange(): Steps<void> {
    if (this.backing === undefined) yield* this.markDirty(true);
  }

  protected *allocate(): Steps<number> {
    return alignUp(yield* wait(this.storage.size()), this.clusterSize);
  }

  protected *link(index: number, hostOffset: number): Steps<void> {
    const table = yield* this.#tableFor(index);
    yield* wait(this.setEntry(table, index % this.entries, BigInt(hostOffset)));
  }

  protected override *linkZero(index: number): Steps<boolean> {
    const table = yield* this.#tableFor(index);
    yield* wait(this.setEntry(table, index % this.entries, ZERO_CLUSTER));
    return true;
  }

  /** The L2 table of a cluster; a new one when there is none. */
  *#tableFor(index: number): Steps<number> {
    const number = Math.floor(index / this.entries);
    const there = yield* wait(this.entry(this.header.l1_table_offset, number));
    if (there !== 0n) return yield* wait(this.#checked(there, 'L1'));
    const table = yield* this.allocate();
    const bytes = this.entries * 8;
    const size = yield* wait(this.storage.size());
    if (table < size) yield* wait(this.storage.writeZeroes(table, bytes));
    else yield* wait(this.storage.truncate(table + bytes));
    yield* wait(this.setEntry(this.header.l1_table_offset, number, BigInt(table)));
    return table;
  }

  *#repair(): Steps<CheckResult> {
    const result = yield* checkQed(this, true);
    this.#pieces.clear();
    yield* wait(this.storage.flush());
    if (result.checkErrors === 0) yield* this.markDirty(false);
    return result;
  }

  *#close(): Steps<void> {
    // The access layer has flushed: the tables are stable.
    if (!this.readOnly) yield* this.markDirty(false);
    yield* wait(this.storage.close());
  }

  /** An entry must point into the file: writing where it points elsewhere would make the file as large as it says. */
  #checked(offset: bigint, table: string): Maybe<number> {
    const number = Number(offset);
    const first = this.header.header_size * this.clusterSize;
    if (!Number.isSafeInteger(number) || number % this.clusterSize !== 0 || number < first) {
      throw this.#badEntry(offset, table);
    }
    if (number < this.#fileEnd) return number;
    return andThen(this.storage.size(), (size) => {
      this.#fileEnd = size;
      if (number >= size) throw this.#badEntry(offset, table);
      return number;
    });
  }

  #badEntry(offset: bigint, table: string): PlatterError {
    const image = this.storage.name;
    return new PlatterError(
      'qed.bad-entry',
      `An entry of an ${table} table of "${image}" points at 0x${offset.toString(16)}`,
      {
        image,
        field: `${table} table`,
        value: `0x${offset.toString(16)}`,
        expected: `a multiple of ${this.clusterSize} after the header and inside the file`,
        hint: 'Check the image and repair it.',
      },
    );
  }
}
