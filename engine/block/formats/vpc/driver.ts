/** Dynamic VHD: a table of block positions; each block is preceded by a bitmap of its sectors (QEMU `block/vpc.c`). */
import { andThen, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { ClusteredDriver, ZERO, type ClusterState } from '../shared/clustered.ts';
import { requireInside } from '../shared/storage-window.ts';
import { PagedTable } from '../shared/table.ts';
import {
  describeVhd,
  encodeFooter,
  VHD_UNALLOCATED,
  type VhdDynamicHeader,
  type VhdHeaders,
} from './header.ts';

/** Bytes of the sector bitmap before each block: one bit for each sector, rounded up to whole sectors. */
export function bitmapBytes(blockSize: number): number {
  return alignUp(Math.floor(blockSize / 4096), 512) || 512;
}

/** The table of a dynamic or differencing disk. */
export function blockTable(storage: Storage, header: VhdDynamicHeader): PagedTable {
  return new PagedTable({
    storage,
    offset: header.table_offset,
    count: header.max_table_entries,
    entryBytes: 4,
    endian: 'big',
  });
}

/** The end of the last block, bytes: where the footer stands and the next block goes. */
export function* endOfBlocks(storage: Storage, header: VhdDynamicHeader, table: PagedTable): Steps<number> {
  const blockBytes = bitmapBytes(header.block_size) + header.block_size;
  let end = alignUp(header.table_offset + header.max_table_entries * 4, 512);
  for (let index = 0; index < table.count; index++) {
    const sector = yield* wait(table.get(index));
    if (sector !== VHD_UNALLOCATED) end = Math.max(end, sector * 512 + blockBytes);
  }
  const size = yield* wait(storage.size());
  requireInside(storage.name, size, 0, end, 'vpc', 'last block that the table names');
  return end;
}

export class VpcDynamicDriver extends ClusteredDriver {
  readonly format = 'vpc';
  readonly headers: VhdHeaders;
  readonly table: PagedTable;
  readonly header: VhdDynamicHeader;
  #end: number | undefined;

  constructor(storage: Storage, headers: VhdHeaders, header: VhdDynamicHeader, readOnly: boolean) {
    super({ storage, virtualSize: headers.virtualSize, clusterSize: header.block_size, readOnly });
    this.headers = headers;
    this.header = header;
    this.table = blockTable(storage, header);
  }

  lookup(index: number): Maybe<ClusterState> {
    return andThen(this.table.get(index), (sector) =>
      sector === VHD_UNALLOCATED
        ? ZERO
        : { kind: 'data', hostOffset: sector * 512 + bitmapBytes(this.clusterSize) },
    );
  }

  describe(): FormatDescription {
    return { header: describeVhd(this.headers) };
  }

  protected *allocate(): Steps<number> {
    this.#end ??= yield* endOfBlocks(this.storage, this.header, this.table);
    const bitmap = new Uint8Array(bitmapBytes(this.clusterSize)).fill(0xff);
    // Over the footer, which is written again behind the block; the copy at the start of the file is valid all the time.
    yield* wait(this.storage.write(this.#end, bitmap));
    return this.#end + bitmap.length;
  }

  protected *link(index: number, hostOffset: number): Steps<void> {
    const sector = (hostOffset - bitmapBytes(this.clusterSize)) / 512;
    const end = hostOffset + this.clusterSize;
    yield* wait(this.storage.write(end, encodeFooter(this.headers.footer)));
    yield* wait(this.table.set(index, sector));
    this.#end = end;
  }
}
