/** A differencing VHD, which no tool at hand makes. */
import { pattern } from '../../shared/testing/conformance.ts';
import { encodeFooter, vhdChecksum, vhdDynamicHeader, vhdFooter } from '../header.ts';

/** A child of `parent` whose first block holds sectors 0, 3 and 4 itself. */
export function differencing(parent: Uint8Array, parentName: string): { image: Uint8Array; own: Uint8Array } {
  const footer = vhdFooter.parse(parent, 'parent');
  const header = vhdDynamicHeader.parse(parent, 'parent', 512);
  const name = new Uint8Array(512);
  for (let i = 0; i < parentName.length; i++) name.set([0, parentName.charCodeAt(i)], i * 2);
  const child = { ...footer, type: 4, uuid: globalThis.crypto.randomUUID() };
  const childHeader = { ...header, parent_uuid: footer.uuid, parent_name: name, checksum: 0 };
  childHeader.checksum = vhdChecksum(
    vhdDynamicHeader.encode(childHeader),
    vhdDynamicHeader.offsetOf('checksum'),
  );
  const own = pattern(5 * 512, 99);
  const image = new Uint8Array(2048 + 512 + 2 * (1 << 20) + 512);
  image.set(encodeFooter(child), 0);
  image.set(vhdDynamicHeader.encode(childHeader), 512);
  image.fill(0xff, 1536, 2048);
  image.set([0, 0, 0, 4], 1536);
  image[2048] = 0b10011000;
  image.set(own, 2048 + 512);
  image.set(encodeFooter(child), image.length - 512);
  return { image, own };
}
