/** Frames of every shape, unpacked here and in another thread. */
import { beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../testing/bytes.ts';
import { packZstd } from './pack.ts';
import { prepareZstd } from './zstd-library.ts';
import { unzstdCluster, unzstdClusterLater } from './zstd.ts';

beforeAll(() => prepareZstd());

const SIZE = 4096;
const bytes = Uint8Array.from(noise(SIZE, 7), (byte) => byte & 15);

/** A frame of one raw block (RFC 8878, 3.1.1); with its content's size, or with a window instead. */
function frame(content: Uint8Array, sized: boolean): Uint8Array {
  const size = content.length;
  // FCS of two bytes, which counts from 256, in a single segment; or a window of 4 KiB.
  const head = sized ? [0x60, (size - 256) & 255, (size - 256) >> 8] : [0, 2 << 3];
  const block = (size << 3) | 1;
  const header = [0x28, 0xb5, 0x2f, 0xfd, ...head, block & 255, (block >> 8) & 255, block >> 16];
  return Uint8Array.from([...header, ...content]);
}

const joined = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

const text = (out: Uint8Array): string => Buffer.from(out).toString('base64');

/** Sectors are filled up behind a frame. */
const PADDING = new Uint8Array(300).fill(0xaa);

const SHAPES: [string, () => Promise<Uint8Array> | Uint8Array][] = [
  ['as it is packed', async () => (await packZstd(bytes, SIZE)) ?? new Uint8Array(0)],
  ['that says its size', () => frame(bytes, true)],
  ['that does not say its size', () => frame(bytes, false)],
  ['in two', () => joined(frame(bytes.subarray(0, 1000), true), frame(bytes.subarray(1000), false))],
];

describe.each(SHAPES)('a frame %s', (_what, make) => {
  it('comes out whole, here and in another thread, wherever it is to go', async () => {
    const packed = joined(await make(), PADDING);
    expect(unzstdCluster(packed, SIZE)).toEqual(bytes);
    const target = new Uint8Array(new SharedArrayBuffer(SIZE));
    // Two at a time: what is handed over is one's own.
    const [one, two] = await Promise.all([
      unzstdClusterLater(packed.slice(), SIZE),
      unzstdClusterLater(packed.slice(), SIZE, target),
    ]);
    for (const out of [one, two]) expect(Uint8Array.from(out)).toEqual(bytes);
  });
});

it.each<[string, () => Uint8Array<ArrayBuffer>]>([
  ['of more than a cluster', () => joined(frame(joined(bytes, bytes), true))],
  ['of less', () => joined(frame(bytes.subarray(0, 1000), true))],
  ['cut short', () => joined(frame(bytes, true)).slice(0, 2000)],
  ['that lies about its size', () => joined(frame(bytes.subarray(0, 1000), true)).fill(15, 6, 7)],
  ['that is none', () => joined(PADDING)],
])('a frame %s is refused, here and in another thread', async (_what, make) => {
  expect(() => unzstdCluster(make(), SIZE)).toThrow(Error);
  await expect(unzstdClusterLater(make(), SIZE)).rejects.toThrow(Error);
});

it('damaged frames end in bytes or in an error, the same in both', async () => {
  const whole = (await packZstd(bytes, SIZE)) ?? new Uint8Array(0);
  const places = noise(1200, 3);
  const damaged = Array.from({ length: places.length / 3 }, (_, index) => {
    const packed = joined(whole);
    // Blocks' headers and tables lie at the start.
    packed[(places[index * 3] * (index % 2 === 0 ? 1 : 9)) % packed.length] = places[index * 3 + 1];
    return packed;
  });
  const here = damaged.map((packed) => {
    try {
      return text(unzstdCluster(packed, SIZE));
    } catch {
      return undefined;
    }
  });
  const later = await Promise.all(
    damaged.map((packed) =>
      unzstdClusterLater(packed, SIZE).then(
        (out) => text(out),
        () => undefined,
      ),
    ),
  );
  expect(later).toEqual(here);
  expect(new Set(here.map((out) => out === undefined)).size).toBe(2);
});
