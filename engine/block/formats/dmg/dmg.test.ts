import { writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import {
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import { bytesByQemu, Scratch, secondOpinion, tool } from '../shared/testing/oracle.ts';
import { BZIP2, IGNORE, PLAIN, ZERO_FILL, ZLIB } from './header.ts';
import { dmg } from './index.ts';
import { udif, type Piece } from './testing/udif.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

/** 4096 zero bytes, packed by bzip2. */
const BZIPPED_ZEROES = Buffer.from('QlpoOTFBWSZTWYgAOOMAAAhAAMAEAAggADDMBVNqQUcPF3JFOFCQiAA44w==', 'base64');

function pieces(): Piece[] {
  const plain = (length: number, seed: number): Uint8Array => pattern(length, seed);
  return [
    { type: ZLIB, bytes: deflateSync(plain(262144, 1)), length: 262144 },
    { type: PLAIN, bytes: plain(65536, 2), length: 65536 },
    { type: ZERO_FILL, bytes: new Uint8Array(0), length: 1048576 },
    { type: IGNORE, bytes: new Uint8Array(0), length: 512 },
    { type: ZLIB, bytes: deflateSync(plain(5120, 3)), length: 5120 },
  ];
}

function contents(): Uint8Array {
  return Buffer.concat([
    pattern(262144, 1),
    pattern(65536, 2),
    new Uint8Array(1048576 + 512),
    pattern(5120, 3),
  ]);
}

describe('dmg', () => {
  it.each([false, true])(
    'reads zlib, plain and zero chunks as QEMU does (resource fork: %s)',
    async (asResource) => {
      const path = scratch.fresh('image.dmg');
      writeFileSync(path, udif(pieces(), asResource).image);
      const node = await openPath(path);
      expect(node.readOnly).toBe(true);
      expectSameBytes(await readAll(node), contents());
      await node.close();
      expectSameBytes(bytesByQemu(scratch, path, 'dmg'), contents());
      await expectReadsAsQemu(scratch, path, 'dmg', {}, false);
    },
  );

  it('is known by its trailer, whatever its name', async () => {
    const path = scratch.fresh('image.bin');
    writeFileSync(path, udif(pieces()).image);
    const node = await openPath(path);
    expect(node.driver).toBe('dmg');
    await node.close();
  });

  it('reads bzip2, which this QEMU cannot', async () => {
    const path = scratch.fresh('bz.dmg');
    writeFileSync(path, udif([...pieces(), { type: BZIP2, bytes: BZIPPED_ZEROES, length: 4096 }]).image);
    const node = await openPath(path);
    const expected = Buffer.concat([contents(), new Uint8Array(4096)]);
    expectSameBytes(await readAll(node), expected);
    await node.close();
    if (secondOpinion('7zz')) expect(tool('7zz', ['t', '-tdmg', path]).stdout).toContain('Everything is Ok');
  });

  it('refuses bombs, and packings that it does not read, by name', async () => {
    const bomb = deflateSync(new Uint8Array(32 << 20));
    const made: [Piece, string][] = [
      [{ type: ZLIB, bytes: bomb, length: 4096 }, 'dmg.bad-compressed'],
      [{ type: BZIP2, bytes: BZIPPED_ZEROES, length: 512 }, 'dmg.bad-compressed'],
      [{ type: BZIP2, bytes: BZIPPED_ZEROES.subarray(0, 30), length: 4096 }, 'dmg.bad-compressed'],
      [{ type: 0x80000009, bytes: new Uint8Array(16), length: 4096 }, 'dmg.unsupported'],
    ];
    for (const [piece, code] of made) {
      const path = scratch.fresh('bad.dmg');
      writeFileSync(path, udif([piece]).image);
      const node = await openPath(path);
      await expect((async () => node.read(0, new Uint8Array(512)))()).rejects.toMatchObject({ code });
      await node.close();
    }
  });

  it('survives hostile trailers and lists (CVE-2014-0142)', async () => {
    for (const asResource of [false, true]) {
      const { image, listAt } = udif(pieces(), asResource);
      await expectSurvives(
        image,
        dmg,
        [
          [image.length - 512, 512],
          [listAt, 700],
        ],
        300,
      );
    }
  });
});
