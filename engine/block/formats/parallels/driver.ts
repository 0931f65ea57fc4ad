/** Parallels: a header, a table of 32-bit positions, clusters (QEMU `block/parallels.c`). */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CheckResult, ExtentSlot, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { ClusteredDriver, UNALLOCATED, type ClusterState } from '../shared/clustered.ts';
import { PagedTable } from '../shared/table.ts';
import { checkParallels, repairParallels } from './check.ts';
import type { ParallelsBitmap } from './extension.ts';
import {
  describeParallelsHeader,
  entryUnit,
  IN_USE,
  parallelsHeader,
  type ParallelsHeader,
} from './header.ts';

export class ParallelsDriver extends ClusteredDriver {
  readonly format = 'parallels';
  readonly table: PagedTable;
  readonly bitmaps: readonly ParallelsBitmap[];
  /** Somebody had it open for writing and did not close it. */
  unclean: boolean;
  #header: ParallelsHeader;
  /** Where the next cluster goes, bytes; found at the first allocation. */
  #end: number | undefined;

  constructor(
    storage: Storage,
    header: ParallelsHeader,
    bitmaps: readonly ParallelsBitmap[],
    readOnly: boolean,
  ) {
    super({ storage, virtualSize: header.nb_sectors * 512, clusterSize: header.tracks * 512, readOnly });
    this.#header = header;
    this.unclean = header.inuse === IN_USE;
    this.bitmaps = bitmaps;
    this.table = new PagedTable({
      storage,
      offset: parallelsHeader.size,
      count: header.bat_entries,
      entryBytes: 4,
      endian: 'little',
    });
  }

  get header(): ParallelsHeader {
    return this.#header;
  }

  /** The position of cluster `index` in the image, bytes; 0 when it is not there. */
  position(index: number): Maybe<number> {
    return andThen(this.table.get(index), (entry) => entry * entryUnit(this.#header) * 512);
  }

  /** A disk may be longer than its table, by any number of clusters: nothing is there, and one answer says so. */
  override locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    if (offset < this.table.count * this.clusterSize) return super.locate(offset, length, out);
    out.unallocated(length);
  }

  lookup(index: number): Maybe<ClusterState> {
    if (index >= this.table.count) return UNALLOCATED;
    return andThen(this.position(index), (position) =>
      position === 0 ? UNALLOCATED : { kind: 'data', hostOffset: position },
    );
  }

  describe(): FormatDescription {
    const formatSpecific: Record<string, string | number> = {};
    this.bitmaps.forEach((bitmap, index) => {
      formatSpecific[`bitmaps.${index}.name`] = bitmap.id;
      formatSpecific[`bitmaps.${index}.granularity`] = bitmap.granularity;
      formatSpecific[`bitmaps.${index}.dirty-bytes`] = bitmap.dirtyBytes;
    });
    return {
      dirty: this.#header.inuse === IN_USE && this.readOnly,
      header: describeParallelsHeader(this.#header),
      formatSpecific,
    };
  }

  check(): Maybe<CheckResult> {
    return run(checkParallels(this));
  }

  /** `qemu-img check -r`: entries past the end are cleared, the tail is cut off, the mark of use taken back. */
  repair(what: 'leaks' | 'all'): Maybe<CheckResult> {
    return run(repairParallels(this, what));
  }

  override close(): Maybe<void> {
    return run(this.#close());
  }

  /** The header says while an image is open for writing that it is; who finds it so later knows of a crash. */
  *markInUse(inUse: boolean): Steps<void> {
    const inuse = inUse ? IN_USE : 0;
    if (this.#header.inuse === inuse) return;
    this.#header = { ...this.#header, inuse };
    yield* wait(this.storage.write(0, parallelsHeader.encode(this.#header)));
    yield* wait(this.storage.flush());
  }

  protected override beforeChange(): Steps<void> {
    return this.markInUse(true);
  }

  protected *allocate(index: number): Steps<number> {
    if (index >= this.table.count) throw this.#noEntry(index);
    this.#end ??= yield* this.#endOfClusters();
    const unit = entryUnit(this.#header) * 512;
    const host = alignUp(this.#end, unit);
    this.#end = host + this.clusterSize;
    return host;
  }

  protected *link(index: number, hostOffset: number): Steps<void> {
    yield* wait(this.table.set(index, hostOffset / 512 / entryUnit(this.#header)));
  }

  *#endOfClusters(): Steps<number> {
    const tableEnd = alignUp(parallelsHeader.size + this.table.count * 4, 512);
    let end = Math.max(this.#header.data_off * 512, tableEnd);
    for (let index = 0; index < this.table.count; index++) {
      const position = yield* wait(this.position(index));
      if (position >= end) end = position + this.clusterSize;
    }
    return end;
  }

  /** QEMU: allocate_clusters answers EINVAL. */
  #noEntry(index: number): PlatterError {
    const image = this.storage.name;
    const offset = index * this.clusterSize;
    return new PlatterError(
      'parallels.no-entry',
      `The table of "${image}" has ${this.table.count} entries: byte ${offset} of the disk cannot be written`,
      {
        image,
        field: 'bat_entries',
        offset,
        value: String(this.table.count),
        expected: `more than ${index}`,
        hint: 'Copy its contents to a new image.',
      },
    );
  }

  *#close(): Steps<void> {
    if (!this.readOnly) yield* this.markInUse(false);
    yield* wait(this.storage.close());
  }
}
