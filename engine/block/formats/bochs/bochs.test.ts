import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  openPath,
  readAll,
} from '../shared/testing/conformance.ts';
import { bochsImage } from '../shared/testing/bochs-image.ts';
import { Scratch } from '../shared/testing/oracle.ts';
import { bochsHeader2 } from './header.ts';
import { bochs } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

describe('bochs', () => {
  it.each([1, 2] as const)('reads a growing disk of version %i as QEMU does', async (version) => {
    const path = scratch.fresh('disk.bochs');
    const { image, expected } = bochsImage(version);
    writeFileSync(path, image);
    const node = await openPath(path, { readOnly: false });
    expect(node.readOnly).toBe(true);
    expectSameBytes(await readAll(node), expected);
    await node.close();
    await expectReadsAsQemu(scratch, path, 'bochs', {}, false);
  });

  it('survives hostile headers, catalogs and bitmaps (CVE-2014-0142)', async () => {
    const { image } = bochsImage(2);
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
