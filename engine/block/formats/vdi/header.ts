/**
 * The VDI header (VirtualBox `VDICore.h`; QEMU `block/vdi.c`). Little-endian, 512 bytes as QEMU lays it out.
 */
import { run, type Maybe, type Steps } from '../../../maybe.ts';
import { wait } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp, checkFields } from '../shared/check-fields.ts';
import { layout, NIL_UUID, guid, raw, text, u32, u64, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const VDI_SIGNATURE = 0xbeda107f;
export const VDI_VERSION_1_1 = 0x00010001;
/** The only block size that QEMU reads and writes, bytes; VirtualBox's default as well. */
export const VDI_BLOCK_SIZE = 1 << 20;
export const VDI_TYPE_DYNAMIC = 1;
export const VDI_TYPE_STATIC = 2;
/** Map entry of a block that was never written; reads as zeroes. */
export const VDI_UNALLOCATED = 0xffffffff;
/** Map entry of a block that was given back; reads as zeroes. */
export const VDI_DISCARDED = 0xfffffffe;
/** What QEMU accepts at most: its map must fit into 2 GiB. */
export const VDI_MAX_BLOCKS = 0x1fffff80;

export const vdiHeader = layout('little', {
  text: text(64),
  signature: x32,
  version: x32,
  header_size: u32,
  image_type: u32,
  image_flags: x32,
  description: text(256),
  offset_bmap: u32,
  offset_data: u32,
  cylinders: u32,
  heads: u32,
  sectors: u32,
  sector_size: u32,
  unused1: u32,
  disk_size: u64,
  block_size: u32,
  block_extra: u32,
  blocks_in_image: u32,
  blocks_allocated: u32,
  uuid_image: guid,
  uuid_last_snap: guid,
  uuid_link: guid,
  uuid_parent: guid,
  unused2: raw(56),
});

export type VdiHeader = Values<(typeof vdiHeader)['fields']>;

/** Bytes of the guest's disk: the header's size, rounded up to sectors (VBoxManage convertfromraw writes odd sizes). */
export function vdiDiskSize(header: VdiHeader): number {
  return alignUp(header.disk_size, 512);
}

/** Reads and checks the header and the place of the block map. Throws `vdi.bad-field`, `vdi.unsupported`, `vdi.truncated`. */
export function readVdiHeader(storage: Storage): Maybe<VdiHeader> {
  return run(steps(storage));
}

function* steps(storage: Storage): Steps<VdiHeader> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, 0, vdiHeader.size, 'vdi', 'header');
  const header = vdiHeader.parse(bytes, image);
  const check = checkFields('vdi', image, (field) => vdiHeader.find(field));
  check.field(
    'signature',
    `0x${header.signature.toString(16)}`,
    header.signature === VDI_SIGNATURE,
    '0xbeda107f',
  );
  check.unsupported('version', header.version, header.version !== VDI_VERSION_1_1, '0x00010001 (1.1)');
  check.unsupported('block_size', header.block_size, header.block_size !== VDI_BLOCK_SIZE, '1048576');
  check.unsupported('sector_size', header.sector_size, header.sector_size !== 512, '512');
  check.field('offset_bmap', header.offset_bmap, header.offset_bmap % 512 === 0, 'a multiple of 512');
  check.field('offset_data', header.offset_data, header.offset_data % 512 === 0, 'a multiple of 512');
  check.field(
    'blocks_in_image',
    header.blocks_in_image,
    header.blocks_in_image <= VDI_MAX_BLOCKS,
    `at most ${VDI_MAX_BLOCKS}`,
  );
  const room = header.blocks_in_image * header.block_size;
  check.field(
    'disk_size',
    header.disk_size,
    vdiDiskSize(header) <= room,
    `at most ${room}, what the block map has room for`,
  );
  check.unsupported(
    'uuid_link',
    header.uuid_link,
    header.uuid_link !== NIL_UUID,
    'none: a differencing image needs its parent',
  );
  check.unsupported(
    'uuid_parent',
    header.uuid_parent,
    header.uuid_parent !== NIL_UUID,
    'none: a differencing image needs its parent',
  );
  const size = yield* wait(storage.size());
  requireInside(image, size, header.offset_bmap, header.blocks_in_image * 4, 'vdi', 'block map');
  return header;
}

/** The header's fields in file order. */
export function describeVdiHeader(header: VdiHeader): HeaderField[] {
  return vdiHeader.describe(header, 0);
}
