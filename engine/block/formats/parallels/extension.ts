/** The format extension (QEMU `docs/interop/parallels.txt`, "Format Extension"): one cluster of features, of which dirty bitmaps are read. */
import { createHash } from 'node:crypto';
import { PlatterError } from '../../../errors.ts';
import type { Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { layout, raw, u32, u64, uuid, x64 } from '../shared/layout.ts';
import { readExactly } from '../shared/storage-window.ts';
import type { ParallelsHeader } from './header.ts';

const EXTENSION_MAGIC = 0xab234cef23dcea87n;
const END_MAGIC = 0n;
const BITMAP_MAGIC = 0x20385fae252cb34an;
/** A cluster is 1 MiB as a rule; a hostile header may claim 2 GiB. */
const MAX_CLUSTER = 64 << 20;
const MAX_BITMAPS = 1024;

const extensionHeader = layout('little', { magic: x64, check_sum: raw(16) });
const featureHeader = layout('little', { magic: x64, flags: x64, data_size: u32, unused: u32 });
const bitmapHeader = layout('little', { size: u64, id: uuid, granularity: u32, l1_size: u32 });

/** A dirty bitmap. Sizes in bytes. */
export interface ParallelsBitmap {
  id: string;
  granularity: number;
  /** Bytes of the disk that the bitmap calls dirty. */
  dirtyBytes: number;
  /** Dirty stretches of the disk, in order. */
  ranges: { offset: number; length: number }[];
}

/** The bitmaps. Throws `parallels.bad-extension`, `parallels.truncated`. */
export function* readExtension(storage: Storage, header: ParallelsHeader): Steps<ParallelsBitmap[]> {
  const image = storage.name;
  const cluster = header.tracks * 512;
  if (cluster > MAX_CLUSTER) throw bad(image, `its cluster would be ${cluster} bytes`);
  const bytes = yield* readExactly(storage, header.ext_off * 512, cluster, 'parallels', 'format extension');
  const start = extensionHeader.parse(bytes, image);
  if (start.magic !== EXTENSION_MAGIC) throw bad(image, 'its magic is wrong');
  const sum = createHash('md5').update(bytes.subarray(extensionHeader.size)).digest();
  if (Buffer.compare(sum, start.check_sum) !== 0) throw bad(image, 'its checksum is wrong');
  const bitmaps: ParallelsBitmap[] = [];
  for (let at = extensionHeader.size; ;) {
    const feature = featureHeader.parse(bytes, image, at);
    at += featureHeader.size;
    if (feature.magic === END_MAGIC) return bitmaps;
    if (feature.flags !== 0n) throw bad(image, `feature 0x${feature.magic.toString(16)} has unknown flags`);
    if (at + feature.data_size > bytes.length) throw bad(image, 'a feature is longer than the extension');
    if (feature.magic !== BITMAP_MAGIC)
      throw bad(image, `feature 0x${feature.magic.toString(16)} is unknown`);
    if (bitmaps.length >= MAX_BITMAPS) throw bad(image, `it has more than ${MAX_BITMAPS} bitmaps`);
    bitmaps.push(yield* readBitmap(storage, header, bytes.subarray(at, at + feature.data_size)));
    at += Math.ceil(feature.data_size / 8) * 8;
  }
}

function* readBitmap(storage: Storage, header: ParallelsHeader, bytes: Uint8Array): Steps<ParallelsBitmap> {
  const image = storage.name;
  const feature = bitmapHeader.parse(bytes, image);
  const granularity = feature.granularity * 512;
  if (feature.size !== header.nb_sectors)
    throw bad(image, `a bitmap is for ${feature.size} sectors, the disk has ${header.nb_sectors}`);
  const powerOfTwo = (granularity & (granularity - 1)) === 0;
  if (granularity < 512 || !powerOfTwo) throw bad(image, `a bitmap's granularity is ${granularity}`);
  if (bitmapHeader.size + feature.l1_size * 8 > bytes.length)
    throw bad(image, "a bitmap's table is longer than the feature");
  const cluster = header.tracks * 512;
  const diskSize = header.nb_sectors * 512;
  const bits = Math.ceil(diskSize / granularity);
  // Bits are stored in words of 64.
  const expected = Math.ceil((Math.ceil(bits / 64) * 8) / cluster);
  if (feature.l1_size !== expected)
    throw bad(image, `a bitmap's table has ${feature.l1_size} entries instead of ${expected}`);
  const bitmap: ParallelsBitmap = { id: feature.id, granularity, dirtyBytes: 0, ranges: [] };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const covered = cluster * 8 * granularity;
  for (let index = 0; index < feature.l1_size; index++) {
    const entry = view.getBigUint64(bitmapHeader.size + index * 8, true);
    const from = index * covered;
    if (entry === 0n) continue;
    if (entry === 1n) {
      mark(bitmap, from, Math.min(covered, diskSize - from));
      continue;
    }
    const data = yield* readExactly(storage, Number(entry) * 512, cluster, 'parallels', 'bitmap cluster');
    for (let bit = 0; bit < cluster * 8 && from + bit * granularity < diskSize; bit++) {
      if ((data[bit >> 3] & (1 << (bit & 7))) === 0) continue;
      const offset = from + bit * granularity;
      mark(bitmap, offset, Math.min(granularity, diskSize - offset));
    }
  }
  return bitmap;
}

function mark(bitmap: ParallelsBitmap, offset: number, length: number): void {
  bitmap.dirtyBytes += length;
  const last = bitmap.ranges.at(-1);
  if (last !== undefined && last.offset + last.length === offset) last.length += length;
  else bitmap.ranges.push({ offset, length });
}

function bad(image: string, why: string): PlatterError {
  return new PlatterError(
    'parallels.bad-extension',
    `The format extension of "${image}" is damaged: ${why}`,
    {
      image,
      field: 'ext_off',
      value: why,
    },
  );
}
