/** The header of a growing Bochs disk (Bochs `iodev/hdimage/hdimage.h`, "redolog"; QEMU `block/bochs.c`). Little-endian. */
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields, isPowerOfTwo } from '../shared/check-fields.ts';
import { layout, raw, text, u32, u64, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const BOCHS_MAGIC = 'Bochs Virtual HD Image';
const VERSION_2 = 0x00020000;
const VERSION_1 = 0x00010000;
/** What the largest disk of bximage needs, about 8 TB; QEMU's bound as well. */
const MAX_CATALOG = 0x100000;
const MAX_EXTENT = 0x800000;

const common = {
  magic: text(32),
  type: text(16),
  subtype: text(16),
  version: x32,
  header: u32,
  catalog: u32,
  bitmap: u32,
  extent: u32,
};
export const bochsHeader2 = layout('little', { ...common, timestamp: u32, disk: u64 });
export const bochsHeader1 = layout('little', { ...common, disk: u64, padding: raw(4) });

export type BochsHeader = Omit<Values<(typeof bochsHeader2)['fields']>, 'timestamp'>;

export interface BochsImage {
  header: BochsHeader;
  fields: ReturnType<(typeof bochsHeader2)['describe']>;
}

/** An entry of the catalog for an extent that is not there. */
export const BOCHS_UNALLOCATED = 0xffffffff;

/** Where the extent of that number lies in the file, bytes: its bitmap, then its sectors. */
export function extentPlace(
  header: BochsHeader,
  number: number,
): { bitmap: number; bitmapBytes: number; data: number } {
  const bitmapBytes = Math.ceil(header.bitmap / 512) * 512;
  const bitmap = header.header + header.catalog * 4 + number * (bitmapBytes + header.extent);
  return { bitmap, bitmapBytes, data: bitmap + bitmapBytes };
}

/** Throws `bochs.bad-field`, `bochs.unsupported`, `bochs.truncated`. */
export function* readBochsHeader(storage: Storage): Steps<BochsImage> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, 0, 512, 'bochs', 'header');
  const old = new DataView(bytes.buffer).getUint32(bochsHeader2.offsetOf('version'), true) === VERSION_1;
  const check = checkFields('bochs', image, (field) => (old ? bochsHeader1 : bochsHeader2).find(field));
  // The magic first: what follows means nothing without it.
  const start = new TextDecoder().decode(bytes.subarray(0, BOCHS_MAGIC.length));
  check.field('magic', start, start === BOCHS_MAGIC, BOCHS_MAGIC);
  const header = old ? bochsHeader1.parse(bytes, image) : bochsHeader2.parse(bytes, image);
  check.unsupported('type', header.type, header.type !== 'Redolog', 'Redolog');
  check.unsupported('subtype', header.subtype, header.subtype !== 'Growing', 'Growing');
  check.unsupported(
    'version',
    header.version,
    header.version !== VERSION_1 && header.version !== VERSION_2,
    '1 or 2',
  );
  check.field('catalog', header.catalog, header.catalog <= MAX_CATALOG, `at most ${MAX_CATALOG}`);
  const goodExtent = isPowerOfTwo(header.extent) && header.extent >= 512 && header.extent <= MAX_EXTENT;
  check.field('extent', header.extent, goodExtent, `a power of two from 512 to ${MAX_EXTENT}`);
  const goodBitmap = header.bitmap >= Math.ceil(header.extent / 4096) && header.bitmap <= MAX_EXTENT;
  check.field('bitmap', header.bitmap, goodBitmap, 'one bit for each sector of an extent');
  const needed = Math.ceil(header.disk / header.extent);
  check.field('catalog', header.catalog, header.catalog >= needed, `at least ${needed} for this disk`);
  const size = yield* wait(storage.size());
  requireInside(image, size, header.header, header.catalog * 4, 'bochs', 'catalog');
  const fields = old
    ? bochsHeader1.describe(bochsHeader1.parse(bytes, image), 0)
    : bochsHeader2.describe(bochsHeader2.parse(bytes, image), 0);
  return { header, fields };
}
