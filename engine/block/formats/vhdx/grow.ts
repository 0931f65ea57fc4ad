/**
 * A larger disk in a fixed or dynamic VHDX, which QEMU refuses and Hyper-V does (`Resize-VHD`). The eight bytes of the metadata that
 * state the size make the switch: up to their write the disk is the old one, after it the new one. A table of blocks that has no room in
 * its region gets a new region behind everything else before; until the region table names that, nobody looks at it.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { alignUp } from '../shared/check-fields.ts';
import { requireGrowth } from '../shared/grow.ts';
import { batEntries, FULLY_PRESENT, ZERO_BLOCK } from './blocks.ts';
import type { VhdxDriver } from './driver.ts';
import { MIB, moveBatRegion } from './header.ts';
import { diskSizeItem, LEAVE_ALLOCATED, MAX_DISK } from './metadata.ts';

/** Table entries written at once. */
const CHUNK = 8192;

/** `size` in bytes; rounded up to whole sectors of the disk. Throws `resize.cannot-shrink`, `resize.too-large`. */
export function* growVhdx(driver: VhdxDriver, size: number): Steps<void> {
  requireGrowth(driver, size, MAX_DISK);
  const { storage, parts } = driver;
  const { metadata, blocks, regions } = parts;
  yield* driver.announce();
  yield* driver.clearTail();
  const wanted = { ...metadata, diskSize: alignUp(size, metadata.logicalSectorSize) };
  const entries = batEntries(wanted);
  const needed = alignUp(entries * 8, MIB);
  const old = Math.ceil(metadata.diskSize / metadata.blockSize);
  const count = Math.ceil(wanted.diskSize / metadata.blockSize);
  let end = alignUp(yield* wait(storage.size()), MIB);
  let bat = regions.bat;
  if (needed > bat.length) {
    bat = { ...bat, offset: end, length: needed };
    end += needed;
    yield* wait(storage.truncate(end));
    yield* copyTable(driver, bat.offset);
  }
  // A fixed disk has all its blocks.
  const fixed = (metadata.flags & LEAVE_ALLOCATED) !== 0;
  if (fixed) yield* wait(storage.truncate(end + (count - old) * metadata.blockSize));
  for (let first = old; first < count; first += CHUNK) {
    const part = Math.min(CHUNK, count - first);
    yield* writeEntries(driver, bat.offset, first, part, (index) =>
      fixed ? BigInt(end + (index - old) * blocks.blockSize + FULLY_PRESENT) : BigInt(ZERO_BLOCK),
    );
  }
  yield* wait(storage.flush());
  if (bat.offset !== regions.bat.offset) yield* moveBatRegion(storage, bat);
  const item = diskSizeItem.encode({ virtual_disk_size: wanted.diskSize });
  yield* wait(storage.write(metadata.diskSizeAt, item));
  yield* wait(storage.flush());
}

/** The entries that there are, to the region that they will have. */
function* copyTable(driver: VhdxDriver, offset: number): Steps<void> {
  const { table } = driver.parts.blocks;
  for (let first = 0; first < table.count; first += CHUNK) {
    const view = new DataView(new ArrayBuffer(Math.min(CHUNK, table.count - first) * 8));
    for (let at = 0; at < view.byteLength; at += 8) {
      view.setBigUint64(at, yield* wait(table.getBig(first + at / 8)), true);
    }
    yield* wait(driver.storage.write(offset + first * 8, new Uint8Array(view.buffer)));
  }
}

/** The entries of payload blocks `first` and those after it, with the ones of sector bitmaps between them, which nobody uses. */
function* writeEntries(
  driver: VhdxDriver,
  offset: number,
  first: number,
  count: number,
  entry: (index: number) => bigint,
): Steps<void> {
  const { ratio } = driver.parts.blocks;
  const place = (index: number): number => index + Math.floor(index / ratio);
  const start = place(first);
  const view = new DataView(new ArrayBuffer((place(first + count - 1) - start + 1) * 8));
  for (let i = 0; i < count; i++) view.setBigUint64((place(first + i) - start) * 8, entry(first + i), true);
  yield* wait(driver.storage.write(offset + start * 8, new Uint8Array(view.buffer)));
}
