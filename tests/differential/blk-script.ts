/** What the scripts for virtio-blk ask of a disk, whatever its transport and its ring. */
import { BLK_T } from '#engine/virtio/blk/protocol.ts';
import type { BlkScript } from './driver.ts';

export const DISK_BYTES = 16 * 1024 * 1024;
/** VERSION_1 and the bits of the block device that both sides offer, without ring features: low and high word. */
export const PLAIN: [number, number] = [0x0000_6a44, 1];
export const INDIRECT = 1 << 28;
export const EVENT_IDX = 1 << 29;
/** In the high word. */
export const RING_PACKED = 1 << 2;

export function diskContent(): Uint8Array {
  const disk = new Uint8Array(DISK_BYTES);
  const words = new Uint32Array(disk.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761) ^ 0x5bd1e995;
  return disk;
}

export const bytes = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 13 + seed) & 255);

export function segment(sector: number, sectors: number, flags: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, sector, true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

/** Every type of request, the good ones and the bad ones. */
export async function everyRequest(driver: BlkScript, indirect: boolean): Promise<void> {
  const last = DISK_BYTES / 512;
  const write = (sector: number | bigint, data: Uint8Array): Promise<void> =>
    driver.request(BLK_T.out, sector, [{ bytes: data }], indirect);
  await driver.read(0, 4096, indirect);
  await write(8, bytes(4096, 3));
  await driver.read(6, 8192, indirect);
  await driver.request(BLK_T.in, 8, [{ bytes: 100 }, { bytes: 412 }, { bytes: 512 }], indirect);
  await driver.request(BLK_T.out, 20, [{ bytes: bytes(1, 1) }, { bytes: bytes(511, 2) }], indirect);
  await driver.read(20, 512, indirect);
  await driver.request(BLK_T.flush, 0, [], indirect);
  await driver.request(BLK_T.getId, 0, [{ bytes: 20 }], indirect);
  await driver.request(BLK_T.getId, 0, [{ bytes: 4 }], indirect);
  await driver.request(BLK_T.writeZeroes, 0, [{ bytes: segment(9, 2, 0) }], indirect);
  await driver.read(8, 4096, indirect);
  await driver.request(BLK_T.writeZeroes, 0, [{ bytes: segment(8, 2, 1) }], indirect);
  await driver.read(8, 4096, indirect);
  await driver.request(BLK_T.discard, 0, [{ bytes: segment(100, 8, 0) }], indirect);
  for (const flags of [1, 2]) {
    await driver.request(BLK_T.discard, 0, [{ bytes: segment(100, 8, flags) }], indirect);
    await driver.request(BLK_T.writeZeroes, 0, [{ bytes: segment(100, 8, flags << 1) }], indirect);
  }
  await driver.request(BLK_T.discard, 0, [{ bytes: segment(last, 1, 0) }], indirect);
  await driver.request(BLK_T.writeZeroes, 0, [{ bytes: segment(0, 0x40_0000, 0) }], indirect);
  await driver.request(BLK_T.discard, 0, [{ bytes: new Uint8Array(32) }], indirect);
  await driver.read(last, 512, indirect);
  await driver.read(last - 1, 1024, indirect);
  await driver.read(0xffff_ffff_ffff_ffffn, 512, indirect);
  await write(0x0080_0000_0000_0000n, bytes(512, 1));
  await write(last, bytes(512, 1));
  await driver.read(0, 100, indirect);
  await write(0, bytes(700, 1));
  for (const type of [2, 3, 5, 9, 10, 14, 0xffff]) await driver.request(type, 0, [{ bytes: 16 }], indirect);
}

export async function randomRequest(
  driver: BlkScript,
  pick: (most: number) => number,
  indirect: boolean,
): Promise<void> {
  const sector = pick(30) === 0 ? DISK_BYTES / 512 - pick(4) : pick(64);
  const sectors = 1 + pick(4);
  const cut = pick(sectors * 512 + 1);
  const parts = [cut, sectors * 512 - cut].filter((length) => length > 0);
  switch (pick(6)) {
    case 0:
    case 1:
      return driver.request(
        BLK_T.in,
        sector,
        parts.map((length) => ({ bytes: length })),
        indirect,
      );
    case 2:
    case 3:
      return driver.request(
        BLK_T.out,
        sector,
        parts.map((length) => ({ bytes: bytes(length, pick(256)) })),
        indirect,
      );
    case 4:
      return driver.request(
        pick(2) === 0 ? BLK_T.discard : BLK_T.writeZeroes,
        0,
        [{ bytes: segment(sector, sectors, pick(4) === 0 ? pick(4) : 0) }],
        indirect,
      );
    default:
      return driver.request([BLK_T.flush, BLK_T.getId, 2, 77][pick(4)], sector, [{ bytes: 20 }], indirect);
  }
}
