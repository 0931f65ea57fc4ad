import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import { Scratch } from '../shared/testing/oracle.ts';
import { BOCHS_MAGIC, bochsHeader1, bochsHeader2 } from './header.ts';
import { bochs } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const EXTENT = 65536;

/** A disk of 4 extents: 1 and 3 are there, swapped; of extent 1 only sectors 5 to 9. */
function made(version: 1 | 2): { image: Uint8Array; expected: Uint8Array } {
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

describe('bochs', () => {
  it.each([1, 2] as const)('reads a growing disk of version %i as QEMU does', async (version) => {
    const path = scratch.fresh('disk.bochs');
    const { image, expected } = made(version);
    writeFileSync(path, image);
    const node = await openPath(path, { readOnly: false });
    expect(node.readOnly).toBe(true);
    expectSameBytes(await readAll(node), expected);
    await node.close();
    await expectReadsAsQemu(scratch, path, 'bochs', {}, false);
  });

  it('survives hostile headers, catalogs and bitmaps (CVE-2014-0142)', async () => {
    const { image } = made(2);
    await expectSurvives(image, bochs, [
      [64, 40],
      [512, 40],
    ]);
    new DataView(image.buffer).setUint32(bochsHeader2.offsetOf('extent'), 0, true);
    const path = scratch.fresh('bad.bochs');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'bochs.bad-field',
      context: { field: 'extent' },
    });
  });
});
