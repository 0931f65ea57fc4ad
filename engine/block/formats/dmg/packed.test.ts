/** Chunks that this QEMU does not read: LZFSE, LZMA and ADC, held against 7-Zip. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PlatterError } from '../../../errors.ts';
import { expectSameBytes, openPath, pattern, readAll } from '../shared/testing/conformance.ts';
import { Scratch, secondOpinion } from '../shared/testing/oracle.ts';
import { ADC, LZFSE, LZMA } from './header.ts';
import { ENTROPY_CODED, LZVN_CODED, PLAIN_CODED, sentences } from './testing/lzfse-samples.ts';
import { plainTables } from './testing/lzfse-v1.ts';
import { packAdc } from './testing/pack-adc.ts';
import { udif, type Piece } from './testing/udif.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());
const sevenZip = secondOpinion('7zz');

async function ours(pieces: Piece[]): Promise<{ path: string; bytes: Uint8Array }> {
  const path = scratch.fresh('packed.dmg');
  writeFileSync(path, udif(pieces).image);
  const node = await openPath(path);
  try {
    return { path, bytes: await readAll(node) };
  } finally {
    await node.close();
  }
}

/** Our bytes are `wanted`, and 7-Zip's as well. */
async function expectReads(pieces: Piece[], wanted: Uint8Array): Promise<void> {
  const { path, bytes } = await ours(pieces);
  expectSameBytes(bytes, wanted);
  if (!sevenZip) return;
  const done = spawnSync('7zz', ['e', '-so', '-tdmg', path], { maxBuffer: 64 << 20 });
  expect([done.status, done.stderr.toString()]).toEqual([0, '']);
  expectSameBytes(done.stdout, wanted);
}

/** `bytes` as an xz stream with a checksum of so many bytes. */
function packXz(bytes: Uint8Array, check: 4 | 8): Uint8Array {
  const from = scratch.fresh('plain');
  writeFileSync(from, bytes);
  const done = spawnSync('7zz', ['a', '-txz', `-mcrc=${check}`, `${from}.xz`, from], { encoding: 'utf8' });
  expect([done.status, done.stderr]).toEqual([0, '']);
  return readFileSync(`${from}.xz`);
}

const END_BYTES = 4;
/** The blocks of several streams in one. */
const joined = (...streams: Uint8Array[]): Uint8Array =>
  Buffer.concat(streams.map((one, i) => (i === streams.length - 1 ? one : one.subarray(0, -END_BYTES))));
const PLAIN_BYTES = Uint8Array.from({ length: 64 }, (_, i) => i * 37 + ((i * i) >> 3));

describe('LZFSE', () => {
  it.each<[string, Uint8Array, Uint8Array]>([
    ['bvx2', ENTROPY_CODED, sentences(4608)],
    ['bvxn', LZVN_CODED, sentences(1024)],
    ['both', joined(LZVN_CODED, ENTROPY_CODED), Buffer.concat([sentences(1024), sentences(4608)])],
  ])('reads %s as 7-Zip does', async (_name, packed, wanted) => {
    await expectReads([{ type: LZFSE, bytes: packed, length: wanted.length }], wanted);
  });

  // 7-Zip 22 does not read these; Apple's own tool does.
  it.each<[string, Uint8Array, Uint8Array]>([
    ['bvx1', plainTables(ENTROPY_CODED), sentences(4608)],
    [
      'bvx- before others',
      joined(...Array.from({ length: 8 }, () => PLAIN_CODED), LZVN_CODED),
      Buffer.concat([...Array.from({ length: 8 }, () => PLAIN_BYTES), sentences(1024)]),
    ],
  ])('reads %s', async (_name, packed, wanted) => {
    const { bytes } = await ours([{ type: LZFSE, bytes: packed, length: wanted.length }]);
    expectSameBytes(bytes, wanted);
  });

  it('refuses a stream that gives more or less than the chunk holds', async () => {
    for (const length of [4096, 5120]) {
      await expect(ours([{ type: LZFSE, bytes: ENTROPY_CODED, length }])).rejects.toMatchObject({
        code: 'dmg.bad-compressed',
      });
    }
  });
});

describe('LZMA', () => {
  it.skipIf(!sevenZip).each<4 | 8>([4, 8])(
    'reads xz with a check of %i bytes as 7-Zip does',
    async (check) => {
      const plain = Buffer.concat([sentences(300_032), new Uint8Array(1 << 20), pattern(200_192, 5)]);
      await expectReads([{ type: LZMA, bytes: packXz(plain, check), length: plain.length }], plain);
    },
  );

  it.skipIf(!sevenZip)('refuses bombs and cut streams, and reads the next image all the same', async () => {
    const good = packXz(new Uint8Array(8 << 20), 4);
    const bad: Piece[] = [
      { type: LZMA, bytes: good, length: 1 << 20 },
      { type: LZMA, bytes: good, length: 16 << 20 },
      { type: LZMA, bytes: good.subarray(0, good.length / 2), length: 8 << 20 },
      { type: LZMA, bytes: new Uint8Array(0), length: 512 },
    ];
    for (const piece of bad) {
      await expect(ours([piece])).rejects.toMatchObject({ code: 'dmg.bad-compressed' });
    }
    await expectReads([{ type: LZMA, bytes: good, length: 8 << 20 }], new Uint8Array(8 << 20));
  });
});

describe('ADC', () => {
  it.each([
    ['near and far matches', sentences(70_144)],
    ['runs', Buffer.concat([new Uint8Array(10_000), pattern(4336, 1), new Uint8Array(1000).fill(7)])],
    ['nothing that repeats', pattern(512, 9)],
  ])('reads %s as 7-Zip does', async (_name, plain) => {
    const padded = Buffer.concat([plain, new Uint8Array((512 - (plain.length % 512)) % 512)]);
    await expectReads([{ type: ADC, bytes: packAdc(padded), length: padded.length }], padded);
  });
});

it('survives whatever the packed bytes are', async () => {
  const streams: [number, Uint8Array, number][] = [
    [LZFSE, ENTROPY_CODED, 4608],
    [LZFSE, plainTables(ENTROPY_CODED), 4608],
    [LZFSE, LZVN_CODED, 1024],
    [LZFSE, joined(LZVN_CODED, ENTROPY_CODED), 5632],
    [ADC, packAdc(sentences(4608)), 4608],
    ...(sevenZip ? [[LZMA, packXz(sentences(4608), 8), 4608] as [number, Uint8Array, number]] : []),
  ];
  // Headers and tables more often than what follows them.
  const place = fc.oneof(fc.nat(80), fc.nat(900), fc.nat(4096));
  const change = fc.record({
    at: place,
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
  });
  const runs = Number(process.env.PLATTER_FUZZ_CASES ?? 300);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...streams),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(4096)),
      async ([type, packed, length], changes, cut) => {
        const bytes = packed.slice(0, cut ?? undefined);
        for (const { at, byte } of changes) if (at < bytes.length) bytes[at] = byte;
        try {
          expect((await ours([{ type, bytes, length }])).bytes.length).toBe(length);
        } catch (error) {
          if (!(error instanceof PlatterError)) throw error;
        }
      },
    ),
    { numRuns: runs },
  );
});
