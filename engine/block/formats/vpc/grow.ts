/**
 * A larger disk in a dynamic VHD, which QEMU refuses and Hyper-V does (`Resize-VHD`). A table of blocks that has no room where it is goes
 * behind the last block; the dynamic disk header switches to it in one sector, and the footer's copy at the start, one sector, to the new
 * size: up to its write the disk is the old one, after it the new one.
 */
import { wait, type Steps } from '../../../maybe.ts';
import { alignUp } from '../shared/check-fields.ts';
import { requireGrowth } from '../shared/grow.ts';
import { endOfBlocks, type VpcDynamicDriver } from './driver.ts';
import { geometryFor, MAX_GEOMETRY, roundedGeometry, sectorsOf } from './geometry.ts';
import {
  diskSectors,
  encodeDynamic,
  encodeFooter,
  MAX_ENTRIES,
  sizeIsByFooter,
  VHD_MAX_SECTORS,
  VHD_UNALLOCATED,
  vhdFooter,
  type VhdFooter,
} from './header.ts';

/** Table entries written at once. */
const CHUNK = 16384;
const SECTOR = 512;

/**
 * `size` in bytes; rounded up to the next geometry in an image whose geometry counts, as when it is made. Throws `resize.cannot-shrink`,
 * `resize.too-large`.
 */
export function* growVpc(driver: VpcDynamicDriver, size: number): Steps<void> {
  const { header, headers, storage } = driver;
  const most = Math.min(VHD_MAX_SECTORS * SECTOR, MAX_ENTRIES * header.block_size);
  // Opened by its smaller size, an image keeps what its larger one shows.
  const least = Math.max(driver.virtualSize, diskSectors(headers.footer) * SECTOR);
  requireGrowth(driver, size, most, least);
  const footer = resized(headers.footer, size / SECTOR);
  yield* driver.clearTail();
  const entries = Math.max(header.max_table_entries, Math.ceil(footer.current_size / header.block_size));
  const end = yield* endOfBlocks(storage, header, driver.table);
  const next = { ...header, max_table_entries: entries };
  if (entries > (yield* tableRoom(driver))) next.table_offset = end;
  const tail = Math.max(end, alignUp(next.table_offset + entries * 4, SECTOR));
  yield* writeTable(driver, next.table_offset, entries);
  yield* wait(storage.write(tail, encodeFooter(headers.footer)));
  yield* wait(storage.flush());
  // All that changes lies in the first of its two sectors.
  yield* wait(storage.write(headers.dynamicOffset, encodeDynamic(next).subarray(0, SECTOR)));
  yield* wait(storage.flush());
  yield* wait(storage.write(0, encodeFooter(footer)));
  yield* wait(storage.flush());
  yield* wait(storage.write(tail, encodeFooter(footer)));
  yield* wait(storage.truncate(tail + vhdFooter.size));
  yield* wait(storage.flush());
}

/** The footer of a disk of `sectors` or a few more. */
function resized(footer: VhdFooter, sectors: number): VhdFooter {
  const byFooter = sizeIsByFooter(footer);
  const largest = footer.cyls * footer.heads * footer.secs_per_cyl === MAX_GEOMETRY;
  if (byFooter && largest) return { ...footer, current_size: sectors * SECTOR };
  const geometry = byFooter ? geometryFor(sectors) : roundedGeometry(sectors);
  const wanted = byFooter || sectorsOf(geometry) === MAX_GEOMETRY ? sectors : sectorsOf(geometry);
  return {
    ...footer,
    current_size: wanted * SECTOR,
    cyls: geometry.cyls,
    heads: geometry.heads,
    secs_per_cyl: geometry.secs,
  };
}

/** Entries that the table can have where it is: up to the first block behind it. */
function* tableRoom(driver: VpcDynamicDriver): Steps<number> {
  const { header, headers, table } = driver;
  const start = header.table_offset;
  // The header may lie behind the table as well; nobody makes such, and the table then moves.
  let end = headers.dynamicOffset > start ? start : Infinity;
  for (let index = 0; index < table.count; index++) {
    const sector = yield* wait(table.get(index));
    if (sector !== VHD_UNALLOCATED && sector * SECTOR >= start) end = Math.min(end, sector * SECTOR);
  }
  // Without a block behind it the table ends where the first one will go.
  if (end === Infinity) end = alignUp(start + header.max_table_entries * 4, SECTOR);
  return Math.floor((end - start) / 4);
}

/** The new entries, or in a new place the old ones before them. */
function* writeTable(driver: VpcDynamicDriver, offset: number, entries: number): Steps<void> {
  const { header, table, storage } = driver;
  const moved = offset !== header.table_offset;
  for (let first = moved ? 0 : table.count; first < entries; first += CHUNK) {
    const count = Math.min(CHUNK, entries - first);
    // In a new place to the end of its last sector, which nobody has written yet.
    const view = new DataView(new ArrayBuffer(moved ? alignUp(count * 4, SECTOR) : count * 4));
    for (let at = 0; at < view.byteLength; at += 4) {
      const index = first + at / 4;
      view.setUint32(at, index < table.count ? yield* wait(table.get(index)) : VHD_UNALLOCATED);
    }
    yield* wait(storage.write(offset + first * 4, new Uint8Array(view.buffer)));
  }
}
