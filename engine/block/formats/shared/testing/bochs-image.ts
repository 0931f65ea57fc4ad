/** A Bochs disk as bximage and a guest make it; nobody else's program at hand writes one. */
import { BOCHS_MAGIC, bochsHeader1, bochsHeader2 } from '../../bochs/header.ts';
import { pattern } from './conformance.ts';

const EXTENT = 65536;

/** A disk of 4 extents: 1 and 3 are there, swapped; of extent 1 only sectors 5 to 9. */
export function bochsImage(version: 1 | 2): { image: Uint8Array; expected: Uint8Array } {
  const common = {
    magic: BOCHS_MAGIC,
    type: 'Redolog',
    subtype: 'Growing',
    version: version << 16,
    header: 512,
    catalog: 4,
    bitmap: 16,
    extent: EXTENT,
    disk: 4 * EXTENT,
  };
  const image = new Uint8Array(512 + 16 + 2 * (512 + EXTENT));
  const header =
    version === 2
      ? bochsHeader2.encode({ ...common, timestamp: 0 })
      : bochsHeader1.encode({ ...common, padding: new Uint8Array(4) });
  image.set(header);
  const view = new DataView(image.buffer);
  [0xffffffff, 1, 0xffffffff, 0].forEach((entry, index) => view.setUint32(512 + index * 4, entry, true));
  const expected = new Uint8Array(4 * EXTENT);
  const start = 528;
  const first = pattern(EXTENT, 7);
  image.fill(0xff, start, start + 16);
  image.set(first, start + 512);
  expected.set(first, 3 * EXTENT);
  const second = start + 512 + EXTENT;
  const part = pattern(5 * 512, 9);
  image.set([0b11100000, 0b00000011], second);
  image.set(part, second + 512 + 5 * 512);
  expected.set(part, EXTENT + 5 * 512);
  return { image, expected };
}
