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
import {
  BZIP2,
  IGNORE,
  KOLY,
  kolyTrailer,
  LZFSE,
  mishChunk,
  mishHeader,
  PLAIN,
  ZERO_FILL,
  ZLIB,
} from './header.ts';
import { dmg } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

/** 4096 zero bytes, packed by bzip2. */
const BZIPPED_ZEROES = Buffer.from('QlpoOTFBWSZTWYgAOOMAAAhAAMAEAAggADDMBVNqQUcPF3JFOFCQiAA44w==', 'base64');

interface Piece {
  type: number;
  /** Packed. */
  bytes: Uint8Array;
  /** Bytes on the disk. */
  length: number;
}

interface Made {
  image: Uint8Array;
  listAt: number;
}

/** A UDIF image of these pieces, in a property list or, as older writers had it, in a resource fork. */
function udif(pieces: Piece[], asResource = false): Made {
  const dataBytes = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  const sectors = pieces.reduce((sum, piece) => sum + piece.length / 512, 0);
  const mish = new Uint8Array(mishHeader.size + (pieces.length + 1) * mishChunk.size);
  mish.set(
    mishHeader.encode({
      signature: 'mish',
      version: 1,
      sector_number: 0,
      sector_count: sectors,
      data_offset: 0,
      buffers_needed: 520,
      block_descriptors: 0,
      reserved: new Uint8Array(24),
      checksum: new Uint8Array(136),
      chunk_count: pieces.length + 1,
    }),
  );
  const image = new Uint8Array(dataBytes + 65536);
  let offset = 0;
  let sector = 0;
  const entry = (index: number, type: number, count: number, length: number): void => {
    const values = { type, comment: 0, sector_number: sector, sector_count: count, offset, length };
    mish.set(mishChunk.encode(values), mishHeader.size + index * mishChunk.size);
  };
  pieces.forEach((piece, index) => {
    entry(index, piece.type, piece.length / 512, piece.bytes.length);
    image.set(piece.bytes, offset);
    offset += piece.bytes.length;
    sector += piece.length / 512;
  });
  entry(pieces.length, 0xffffffff, 0, 0);
  const list = asResource ? resourceFork(mish) : propertyList(mish);
  image.set(list, offset);
  const at = offset + list.length;
  const trailer = {
    signature: KOLY,
    version: 4,
    header_size: 512,
    flags: 1,
    running_data_fork_offset: 0,
    data_fork_offset: 0,
    data_fork_length: offset,
    rsrc_fork_offset: asResource ? offset : 0,
    rsrc_fork_length: asResource ? list.length : 0,
    segment_number: 1,
    segment_count: 1,
    segment_id: new Uint8Array(16),
    data_checksum: new Uint8Array(136),
    xml_offset: asResource ? 0 : offset,
    xml_length: asResource ? 0 : list.length,
    reserved: new Uint8Array(120),
    master_checksum: new Uint8Array(136),
    image_variant: 1,
    sector_count: sectors,
  };
  image.set(kolyTrailer.encode(trailer), at);
  return { image: image.slice(0, at + 512), listAt: offset };
}

function propertyList(mish: Uint8Array): Uint8Array {
  const data = Buffer.from(mish)
    .toString('base64')
    .replace(/(.{60})/g, '$1\n\t\t');
  return new TextEncoder().encode(
    `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>\n\t\t${data}\n</data></dict></array><key>plst</key><array><dict><key>Data</key><data>AAAA</data></dict></array></dict></dict></plist>`,
  );
}

function resourceFork(mish: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(256 + 4 + mish.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 256);
  view.setUint32(8, 4 + mish.length);
  view.setUint32(256, mish.length);
  bytes.set(mish, 260);
  return bytes;
}

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
      [{ type: LZFSE, bytes: new Uint8Array(16), length: 4096 }, 'dmg.unsupported'],
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
