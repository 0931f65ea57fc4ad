/**
 * A larger disk in a VDI. QEMU refuses it; VirtualBox does it (`VBoxManage modifymedium --resize`). The header, one sector, makes the
 * switch: up to its write the disk is the old one, after it the new one.
 *
 * A map that has no room before the blocks takes the place of the first of them, which move to the end. While they do, the header
 * counts more blocks than there are: a writer that takes over after a crash then never allocates over one (the same that QEMU's driver
 * leaves when it is killed between header and map). In the end the blocks have the numbers from 0 on without a gap, since QEMU allocates
 * by their count.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { alignUp } from '../shared/check-fields.ts';
import { requireGrowth } from '../shared/grow.ts';
import type { VdiDriver } from './driver.ts';
import {
  VDI_BLOCK_SIZE,
  VDI_DISCARDED,
  VDI_MAX_BLOCKS,
  VDI_TYPE_STATIC,
  VDI_UNALLOCATED,
  vdiHeader,
  type VdiHeader,
} from './header.ts';

/** Map entries written at once. */
const CHUNK = 16384;
/** Bytes copied at once. */
const COPY_BYTES = 1 << 20;

/** `size` in bytes. Throws `resize.cannot-shrink`, `resize.too-large`. */
export function* growVdi(driver: VdiDriver, size: number): Steps<void> {
  requireGrowth(driver, size, VDI_MAX_BLOCKS * VDI_BLOCK_SIZE);
  const { header, storage } = driver;
  yield* driver.clearTail();
  const blocks = Math.max(header.blocks_in_image, Math.ceil(size / VDI_BLOCK_SIZE));
  const room = header.offset_data - header.offset_bmap;
  // The map that is there has the room that it needs when it lies before the blocks, as everybody's does.
  const shift = room >= 0 && room < blocks * 4 ? Math.ceil((blocks * 4) / VDI_BLOCK_SIZE) : 0;
  const used = yield* gather(driver, shift);
  const next: VdiHeader = { ...header, disk_size: size, blocks_in_image: blocks, blocks_allocated: used };
  if (shift > 0) {
    next.offset_bmap = header.offset_data;
    next.offset_data = header.offset_data + shift * VDI_BLOCK_SIZE;
  }
  const fixed = header.image_type === VDI_TYPE_STATIC;
  if (fixed) {
    next.blocks_allocated = used + blocks - header.blocks_in_image;
    const length = next.offset_data + next.blocks_allocated * VDI_BLOCK_SIZE;
    yield* wait(storage.truncate(Math.max(length, yield* wait(storage.size()))));
  }
  yield* writeMap(driver, next, shift, fixed ? used : undefined);
  yield* wait(storage.flush());
  yield* wait(storage.write(0, vdiHeader.encode(next)));
  yield* wait(storage.flush());
}

/** Moves blocks until those in use have the numbers from `first` on without a gap; how many they are. */
function* gather(driver: VdiDriver, first: number): Steps<number> {
  const { header, storage, blocks } = driver;
  let used = 0;
  let end = 0;
  for (let index = 0; index < blocks.count; index++) {
    const block = yield* wait(blocks.get(index));
    if (block >= VDI_DISCARDED) continue;
    used++;
    end = Math.max(end, block + 1);
  }
  const taken = new Uint8Array(used);
  const outside: number[] = [];
  for (let index = 0; index < blocks.count; index++) {
    const block = yield* wait(blocks.get(index));
    if (block >= VDI_DISCARDED) continue;
    if (block < first || block >= first + used) outside.push(index);
    else taken[block - first] = 1;
  }
  if (outside.length === 0) return used;
  const counted = { ...header, blocks_allocated: Math.max(end, first + used) };
  yield* wait(storage.write(0, vdiHeader.encode(counted)));
  yield* wait(storage.flush());
  let free = 0;
  for (const index of outside) {
    while (taken[free] === 1) free++;
    const from = driver.offset(yield* wait(blocks.get(index)));
    yield* copy(driver, from, driver.offset(first + free));
    yield* wait(storage.flush());
    yield* wait(blocks.set(index, first + free));
    free++;
  }
  yield* wait(storage.flush());
  return used;
}

function* copy({ storage }: VdiDriver, from: number, to: number): Steps<void> {
  const buffer = new Uint8Array(COPY_BYTES);
  for (let at = 0; at < VDI_BLOCK_SIZE; at += buffer.length) {
    yield* wait(storage.read(from + at, buffer));
    yield* wait(storage.write(to + at, buffer));
  }
}

/**
 * The entries that the map in use lacks, or the whole map in its new place: `shift` blocks have come before the first one. New blocks
 * have the numbers from `first` on, or none.
 */
function* writeMap(
  driver: VdiDriver,
  next: VdiHeader,
  shift: number,
  first: number | undefined,
): Steps<void> {
  const { blocks, storage } = driver;
  const start = shift > 0 ? 0 : blocks.count;
  for (let index = start; index < next.blocks_in_image; index += CHUNK) {
    const count = Math.min(CHUNK, next.blocks_in_image - index);
    const chunk = new DataView(new ArrayBuffer(shift > 0 ? alignUp(count * 4, 512) : count * 4));
    for (let i = 0; i < count; i++) {
      let entry = first === undefined ? VDI_UNALLOCATED : first + index + i - blocks.count;
      if (index + i < blocks.count) {
        const old = yield* wait(blocks.get(index + i));
        entry = old >= VDI_DISCARDED ? old : old - shift;
      }
      chunk.setUint32(i * 4, entry, true);
    }
    yield* wait(storage.write(next.offset_bmap + index * 4, new Uint8Array(chunk.buffer)));
  }
}
