/** The Parallels disk header (QEMU `docs/interop/parallels.txt`). Little-endian. */
import { wait, type Steps } from '../../../maybe.ts';
import type { HeaderField } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { layout, text, u32, u64, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

/** Table entries count sectors. */
export const MAGIC_SECTORS = 'WithoutFreeSpace';
/** Table entries count clusters. */
export const MAGIC_CLUSTERS = 'WithouFreSpacExt';
export const IN_USE = 0x746f6e59;
/** Sectors of a cluster, QEMU's bound. */
const MAX_TRACKS = Math.floor(0x7fffffff / 513);
const MAX_ENTRIES = 0x1fffffff;

export const parallelsHeader = layout('little', {
  magic: text(16),
  version: u32,
  heads: u32,
  cylinders: u32,
  tracks: u32,
  bat_entries: u32,
  nb_sectors: u64,
  inuse: x32,
  data_off: u32,
  flags: x32,
  ext_off: u64,
});

export type ParallelsHeader = Values<(typeof parallelsHeader)['fields']>;

/** Sectors that one unit of a table entry stands for. */
export function entryUnit(header: ParallelsHeader): number {
  return header.magic === MAGIC_SECTORS ? 1 : header.tracks;
}

/** Reads and checks the header and the place of the table. Throws `parallels.bad-field`, `parallels.unsupported`, `parallels.truncated`. */
export function* readParallelsHeader(storage: Storage): Steps<ParallelsHeader> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, 0, parallelsHeader.size, 'parallels', 'header');
  // The older magic has 32 bits of size and leaves the other half to chance.
  if (String.fromCharCode(...bytes.subarray(0, 16)) === MAGIC_SECTORS) bytes.fill(0, 40, 44);
  const header = parallelsHeader.parse(bytes, image);
  const check = checkFields('parallels', image, (field) => parallelsHeader.find(field));
  const { magic, tracks, bat_entries: entries } = header;
  check.field(
    'magic',
    magic,
    magic === MAGIC_SECTORS || magic === MAGIC_CLUSTERS,
    `${MAGIC_SECTORS} or ${MAGIC_CLUSTERS}`,
  );
  check.unsupported('version', header.version, header.version !== 2, '2');
  check.field('tracks', tracks, tracks > 0 && tracks <= MAX_TRACKS, `1 to ${MAX_TRACKS} sectors`);
  check.field('bat_entries', entries, entries <= MAX_ENTRIES, `at most ${MAX_ENTRIES}`);
  const sane = header.nb_sectors <= 2 ** 53 / 512 && Number.isSafeInteger(header.ext_off * 512);
  check.field('nb_sectors', header.nb_sectors, sane, 'less than 2^53 bytes');
  const size = yield* wait(storage.size());
  requireInside(image, size, parallelsHeader.size, entries * 4, 'parallels', 'block allocation table');
  return header;
}

export function describeParallelsHeader(header: ParallelsHeader): HeaderField[] {
  return parallelsHeader.describe(header, 0);
}
