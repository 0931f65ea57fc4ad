/** A differencing VHDX, which no tool at hand makes. */
import { MIB } from '../header.ts';
import {
  fileParameters,
  HAS_PARENT,
  METADATA_HEADER_BYTES,
  METADATA_TABLE_BYTES,
  metadataEntry,
  PARENT_LOCATOR,
} from '../metadata.ts';
import { locatorEntry, locatorHeader, VHDX_LOCATOR_TYPE } from '../parent.ts';

/** Byte offsets of Platter's layout with a log of 1 MiB. */
const BAT = 2 * MIB;
const METADATA = 3 * MIB;

/**
 * A child of 4 MiB whose block 0 holds sectors 8 to 10 itself, whose block 2 is zero, and which has nothing else.
 * @param empty an image of 4 MiB without data, in blocks of 1 MiB that are not zero, as Platter makes it
 */
export function differencing(
  empty: Uint8Array,
  parentName: string,
  linkage: string,
  own: Uint8Array,
): Uint8Array {
  const image = new Uint8Array(empty.length + 2 * MIB);
  image.set(empty);
  const view = new DataView(image.buffer);
  const ratio = 4096;
  view.setBigUint64(BAT, BigInt(empty.length) | 7n, true);
  view.setBigUint64(BAT + 16, 2n, true);
  view.setBigUint64(BAT + ratio * 8, BigInt(empty.length + MIB) | 6n, true);
  image.set(own, empty.length + 8 * 512);
  image[empty.length + MIB + 1] = 0b00000111;
  const items = METADATA + METADATA_TABLE_BYTES;
  image.set(fileParameters.encode({ block_size: MIB, flags: HAS_PARENT }), items);
  const locator = parentLocator({ parent_linkage: `{${linkage}}`, relative_path: `.\\${parentName}` });
  const count = 6;
  view.setUint16(METADATA + 10, count, true);
  const entry = metadataEntry.encode({
    item_id: PARENT_LOCATOR,
    offset: METADATA_TABLE_BYTES + 4096,
    length: locator.length,
    flags: 4,
    reserved2: 0,
  });
  image.set(entry, METADATA + METADATA_HEADER_BYTES + (count - 1) * metadataEntry.size);
  image.set(locator, items + 4096);
  return image;
}

function parentLocator(values: Record<string, string>): Uint8Array {
  const pairs = Object.entries(values).map((pair) => pair.map((text) => Buffer.from(text, 'utf16le')));
  const bytes = new Uint8Array(4096);
  bytes.set(
    locatorHeader.encode({ locator_type: VHDX_LOCATOR_TYPE, reserved: 0, key_value_count: pairs.length }),
  );
  let at = locatorHeader.size + pairs.length * locatorEntry.size;
  for (const [index, [key, value]] of pairs.entries()) {
    const entry = {
      key_offset: at,
      value_offset: at + key.length,
      key_length: key.length,
      value_length: value.length,
    };
    bytes.set(locatorEntry.encode(entry), locatorHeader.size + index * locatorEntry.size);
    bytes.set(key, at);
    bytes.set(value, at + key.length);
    at += key.length + value.length;
  }
  return bytes.subarray(0, at);
}
