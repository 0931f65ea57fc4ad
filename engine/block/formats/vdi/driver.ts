/** VDI: a header, a map of 32-bit block numbers, blocks of 1 MiB (QEMU `block/vdi.c`). */
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CheckResult, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { ClusteredDriver, ZERO, type ClusterState } from '../shared/clustered.ts';
import { PagedTable } from '../shared/table.ts';
import { checkVdi } from './check.ts';
import {
  describeVdiHeader,
  VDI_DISCARDED,
  VDI_TYPE_STATIC,
  vdiDiskSize,
  vdiHeader,
  type VdiHeader,
} from './header.ts';

export class VdiDriver extends ClusteredDriver {
  readonly format = 'vdi';
  readonly header: VdiHeader;
  readonly blocks: PagedTable;
  /** The block after the last one in use; found at the first allocation, since the header's count may be wrong. */
  #next: number | undefined;

  constructor(storage: Storage, header: VdiHeader, readOnly: boolean) {
    super({ storage, virtualSize: vdiDiskSize(header), clusterSize: header.block_size, readOnly });
    this.header = header;
    this.blocks = new PagedTable({
      storage,
      offset: header.offset_bmap,
      count: header.blocks_in_image,
      entryBytes: 4,
      endian: 'little',
    });
  }

  lookup(index: number): Maybe<ClusterState> {
    return andThen(this.blocks.get(index), (block) =>
      block >= VDI_DISCARDED ? ZERO : { kind: 'data', hostOffset: this.offset(block) },
    );
  }

  /** A static image is made of holes. */
  holesAre(): 'zeroes' | undefined {
    return this.header.image_type === VDI_TYPE_STATIC ? 'zeroes' : undefined;
  }

  describe(): FormatDescription {
    return { header: describeVdiHeader(this.header) };
  }

  check(): Maybe<CheckResult> {
    return run(checkVdi(this.header, this.blocks));
  }

  protected *allocate(): Steps<number> {
    this.#next ??= yield* this.#firstFree();
    return this.offset(this.#next++);
  }

  protected *link(index: number, hostOffset: number): Steps<void> {
    this.header.blocks_allocated++;
    yield* wait(this.storage.write(0, vdiHeader.encode(this.header)));
    const block = (hostOffset - this.header.offset_data) / this.header.block_size;
    yield* wait(this.blocks.set(index, block));
  }

  /** The byte of the file at which block number `block` begins. */
  offset(block: number): number {
    return this.header.offset_data + block * this.header.block_size;
  }

  /** Counts the blocks in use as well: a writer that was killed may have left another number in the header. */
  *#firstFree(): Steps<number> {
    let next = this.header.blocks_allocated;
    let allocated = 0;
    for (let index = 0; index < this.blocks.count; index++) {
      const block = yield* wait(this.blocks.get(index));
      if (block >= VDI_DISCARDED) continue;
      allocated++;
      next = Math.max(next, block + 1);
    }
    this.header.blocks_allocated = allocated;
    return next;
  }
}
