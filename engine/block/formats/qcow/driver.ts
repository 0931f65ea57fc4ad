/** qcow version 1, read only: two levels of tables, clusters plain or deflated. */
import type { PlatterError } from '../../../errors.ts';
import { andThen, type Maybe } from '../../../maybe.ts';
import { inflateCluster } from '../../compression/deflate.ts';
import type { ExtentSlot, FormatDescription, OpenContext, OpenedBacking } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import type { Storage } from '../../storage/storage.ts';
import { badCompressed } from '../shared/inflate.ts';
import { ReadOnlyDriver } from '../shared/read-only.ts';
import { readExactly } from '../shared/storage-window.ts';
import { TableCache } from '../shared/table-cache.ts';
import { PagedTable } from '../shared/table.ts';
import { LastUnpacked } from '../shared/unpacked.ts';
import { run, wait, type Steps } from '../../../maybe.ts';
import { qcowHeader, type QcowImage } from './header.ts';

const COMPRESSED = 1n << 63n;

export class QcowDriver extends ReadOnlyDriver {
  readonly format = 'qcow';
  readonly virtualSize: number;
  readonly clusterSize: number;
  readonly backing?: BlockNode;
  readonly #image: QcowImage;
  readonly #l1: PagedTable;
  readonly #l2: TableCache;
  readonly #last = new LastUnpacked();
  readonly #backingError?: PlatterError;

  constructor(storage: Storage, image: QcowImage, backing?: OpenedBacking) {
    super(storage);
    const { header } = image;
    this.#image = image;
    this.virtualSize = image.virtualSize;
    this.clusterSize = 2 ** header.cluster_bits;
    this.backing = backing?.node;
    this.#backingError = backing?.error;
    this.#l1 = new PagedTable({
      storage,
      offset: header.l1_table_offset,
      count: image.l1Entries,
      entryBytes: 8,
      endian: 'big',
    });
    this.#l2 = new TableCache(storage, 8 * 2 ** header.l2_bits);
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const inCluster = offset % this.clusterSize;
    const part = Math.min(length, this.clusterSize - inCluster);
    return andThen(this.#entry(offset), (entry) => {
      if (entry === 0n) out.unallocated(part);
      else if ((entry & COMPRESSED) !== 0n)
        out.special(part, this.storage, this.#packed(entry).offset, 'compressed');
      else out.data(part, this.storage, Number(entry) + inCluster, false);
    });
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const inCluster = offset % this.clusterSize;
    return andThen(this.#entry(offset), (entry) =>
      andThen(
        this.#last.get(offset - inCluster, () => run(this.#unpack(entry))),
        (cluster) => {
          target.set(cluster.subarray(inCluster, inCluster + target.length));
        },
      ),
    );
  }

  describe(): FormatDescription {
    return {
      header: qcowHeader.describe(this.#image.header, 0),
      backingFilename: this.#image.backingFile,
      backingError: this.#backingError,
    };
  }

  #entry(offset: number): Maybe<bigint> {
    const { cluster_bits: clusterBits, l2_bits: l2Bits } = this.#image.header;
    const cluster = Math.floor(offset / 2 ** clusterBits);
    return andThen(this.#l1.getBig(Math.floor(cluster / 2 ** l2Bits)), (table) => {
      if (table === 0n) return 0n;
      return andThen(this.#l2.get(Number(table)), (view) => view.getBigUint64((cluster % 2 ** l2Bits) * 8));
    });
  }

  /** Where a compressed cluster lies: its offset in the low bits, its length above them. */
  #packed(entry: bigint): { offset: number; length: number } {
    const bits = BigInt(63 - this.#image.header.cluster_bits);
    const length = Number((entry & ~COMPRESSED) >> bits);
    return { offset: Number(entry & ((1n << bits) - 1n)), length };
  }

  *#unpack(entry: bigint): Steps<Uint8Array> {
    const { offset, length } = this.#packed(entry);
    const packed = yield* readExactly(this.storage, offset, length, 'qcow', 'compressed cluster');
    try {
      return inflateCluster(packed, this.clusterSize);
    } catch (error) {
      throw badCompressed({ format: 'qcow', image: this.storage.name, offset }, error);
    }
  }
}

export function* openQcow(
  storage: Storage,
  image: QcowImage,
  context: Pick<OpenContext, 'backing' | 'openBacking'>,
): Steps<QcowDriver> {
  const name = context.backing === 'none' ? undefined : image.backingFile;
  const backing = name === undefined ? undefined : yield* wait(context.openBacking(name));
  return new QcowDriver(storage, image, backing);
}
