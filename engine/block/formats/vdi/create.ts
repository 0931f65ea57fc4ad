/** An empty VDI, as `qemu-img create -f vdi` lays it out: header, map, and for a static image all blocks. */
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { NIL_UUID } from '../shared/layout.ts';
import { diskSize, flag, knownOptions } from '../shared/options.ts';
import {
  VDI_BLOCK_SIZE,
  VDI_MAX_BLOCKS,
  VDI_SIGNATURE,
  VDI_TYPE_DYNAMIC,
  VDI_TYPE_STATIC,
  VDI_UNALLOCATED,
  VDI_VERSION_1_1,
  vdiHeader,
} from './header.ts';

const MAP_OFFSET = 512;
/** Map entries written at once. */
const CHUNK = 16384;

/** Options: `size`, `static` (all blocks allocated). */
export function createVdi(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('vdi', options, ['static']);
  return run(
    steps(storage, diskSize(options, VDI_MAX_BLOCKS * VDI_BLOCK_SIZE), flag(options, 'static', false)),
  );
}

function* steps(storage: Storage, size: number, fixed: boolean): Steps<void> {
  const blocks = Math.ceil(size / VDI_BLOCK_SIZE);
  const mapBytes = alignUp(blocks * 4, 512);
  const header = vdiHeader.encode({
    text: '<<< Platter Virtual Disk Image >>>\n',
    signature: VDI_SIGNATURE,
    version: VDI_VERSION_1_1,
    header_size: 0x180,
    image_type: fixed ? VDI_TYPE_STATIC : VDI_TYPE_DYNAMIC,
    image_flags: 0,
    description: '',
    offset_bmap: MAP_OFFSET,
    offset_data: MAP_OFFSET + mapBytes,
    cylinders: 0,
    heads: 0,
    sectors: 0,
    sector_size: 512,
    unused1: 0,
    disk_size: size,
    block_size: VDI_BLOCK_SIZE,
    block_extra: 0,
    blocks_in_image: blocks,
    blocks_allocated: fixed ? blocks : 0,
    uuid_image: globalThis.crypto.randomUUID(),
    uuid_last_snap: globalThis.crypto.randomUUID(),
    uuid_link: NIL_UUID,
    uuid_parent: NIL_UUID,
    unused2: new Uint8Array(56),
  });
  yield* wait(storage.truncate(MAP_OFFSET + mapBytes + (fixed ? blocks * VDI_BLOCK_SIZE : 0)));
  for (let first = 0; first < blocks; first += CHUNK) {
    const count = Math.min(CHUNK, blocks - first);
    const chunk = new DataView(new ArrayBuffer(count * 4));
    for (let i = 0; i < count; i++) chunk.setUint32(i * 4, fixed ? first + i : VDI_UNALLOCATED, true);
    yield* wait(storage.write(MAP_OFFSET + first * 4, new Uint8Array(chunk.buffer)));
  }
  yield* wait(storage.write(0, header));
}
