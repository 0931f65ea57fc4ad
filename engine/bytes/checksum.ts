/** Checksums of on-disk structures: CRC-32C (RFC 3720, VHDX), CRC-32 (IEEE 802.3, GPT) and Adler-32 (RFC 1950). */

function table(polynomial: number): Uint32Array {
  const entries = new Uint32Array(256);
  for (let index = 0; index < 256; index++) {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ polynomial;
    entries[index] = value >>> 0;
  }
  return entries;
}

const castagnoli = table(0x82f6_3b78);
const ieee = table(0xedb8_8320);

function crc(bytes: Uint8Array, entries: Uint32Array, seed: number): number {
  let value = ~seed >>> 0;
  for (let index = 0; index < bytes.length; index++) {
    value = (value >>> 8) ^ entries[(value ^ bytes[index]) & 0xff];
  }
  return ~value >>> 0;
}

/** CRC-32C. `seed` is the checksum of what came before, 0 at the start. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return crc(bytes, castagnoli, seed);
}

/** CRC-32 as in GPT, gzip and zip. `seed` is the checksum of what came before, 0 at the start. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return crc(bytes, ieee, seed);
}

/** Adler-32. `seed` is the checksum of what came before, 1 at the start. */
export function adler32(bytes: Uint8Array, seed = 1): number {
  let a = seed & 0xffff;
  let b = seed >>> 16;
  for (let start = 0; start < bytes.length; start += 5552) {
    const end = Math.min(start + 5552, bytes.length);
    for (let index = start; index < end; index++) {
      a += bytes[index];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}
