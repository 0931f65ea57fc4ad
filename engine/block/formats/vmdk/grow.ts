/**
 * A larger disk in a monolithicSparse VMDK, which QEMU refuses and VMware does (`vmware-vdiskmanager -x`). Larger directories, the tables
 * that the old ones lack, and the descriptor go behind everything else; the header, one sector, switches to all of them: up to its write
 * the disk is the old one, after it the new one.
 */
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { requireGrowth } from '../shared/grow.ts';
import { readExactly } from '../shared/storage-window.ts';
import type { PagedTable } from '../shared/table.ts';
import { withSectors } from './descriptor.ts';
import type { VmdkDriver } from './driver.ts';
import { MAX_CAPACITY, vmdk4Header } from './header.ts';
import { SparseExtent } from './sparse.ts';

const SECTOR = 512;

/** The extent of an image that can grow: the only one, in one file with its header and its descriptor. */
export function monolithicSparse(driver: VmdkDriver): SparseExtent | undefined {
  const { extents, storage, place } = driver.parts;
  const only = extents.length === 1 ? extents[0].extent : undefined;
  if (!(only instanceof SparseExtent) || only.storage !== storage) return undefined;
  const { kind, compressed } = only.layout;
  return kind === 'vmdk4' && !compressed && place.offset > 0 && place.length > 0 ? only : undefined;
}

/** `size` in bytes. Throws `resize.cannot-shrink`, `resize.too-large`, `resize.backing-longer`. */
export function* growVmdk(driver: VmdkDriver, extent: SparseExtent, size: number): Steps<void> {
  requireGrowth(driver, size, MAX_CAPACITY * SECTOR);
  const { session, place } = driver.parts;
  const { storage, layout, directory, backupDirectory } = extent;
  yield* session.announce();
  yield* extent.clearTail();
  const header = vmdk4Header.parse(yield* readExactly(storage, 0, SECTOR, 'vmdk', 'header'), storage.name);
  const tables = Math.ceil(size / (layout.grain * layout.tableEntries));
  let at = alignUp(yield* wait(storage.size()), layout.grain);
  const put = (bytes: number): number => {
    const start = at;
    at += alignUp(bytes, SECTOR);
    return start;
  };
  const tableBytes = alignUp(extent.tables.tableBytes, SECTOR);
  const places = [backupDirectory, directory].map((old) => {
    if (old === undefined) return undefined;
    return { old, at: put(tables * 4), tables: put((tables - old.count) * tableBytes) };
  });
  const text = new TextEncoder().encode(withSectors(session.descriptor.text, size / SECTOR));
  const descriptor = new Uint8Array(Math.max(place.length, alignUp(text.length + 1, SECTOR)));
  descriptor.set(text);
  const descriptorAt = put(descriptor.length);
  yield* wait(storage.truncate(alignUp(at, layout.grain)));
  for (const one of places) {
    if (one !== undefined) yield* writeDirectory(storage, one.old, one.at, one.tables, tables, tableBytes);
  }
  yield* wait(storage.write(descriptorAt, descriptor));
  yield* wait(storage.flush());
  const [backup, primary] = places;
  const next = vmdk4Header.encode({
    ...header,
    capacity: size / SECTOR,
    rgd_offset: backup === undefined ? header.rgd_offset : backup.at / SECTOR,
    gd_offset: BigInt((primary?.at ?? 0) / SECTOR),
    desc_offset: descriptorAt / SECTOR,
    desc_size: descriptor.length / SECTOR,
  });
  yield* wait(storage.write(0, next));
  yield* wait(storage.flush());
}

/** The old directory's entries and, for the tables that it lacks, those at `first` (bytes) and after it. */
function* writeDirectory(
  storage: Storage,
  old: PagedTable,
  at: number,
  first: number,
  count: number,
  tableBytes: number,
): Steps<void> {
  const view = new DataView(new ArrayBuffer(count * 4));
  for (let index = 0; index < count; index++) {
    const entry =
      index < old.count ? yield* wait(old.get(index)) : (first + (index - old.count) * tableBytes) / SECTOR;
    view.setUint32(index * 4, entry, true);
  }
  yield* wait(storage.write(at, new Uint8Array(view.buffer)));
}
