import { crc32 as zlibCrc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { adler32, crc32, crc32c } from './checksum.ts';

const digits = new TextEncoder().encode('123456789');

it('gives the check values of the catalogues', () => {
  expect(crc32c(digits)).toBe(0xe306_9283);
  expect(crc32(digits)).toBe(0xcbf4_3926);
  expect(adler32(digits)).toBe(0x091e_01de);
  // RFC 3720, B.4: 32 bytes of ones.
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8_ab43);
});

it('goes on where it stopped', () => {
  const bytes = new Uint8Array(20_000).map((_, index) => index * 7);
  const head = bytes.subarray(0, 7_001);
  const tail = bytes.subarray(7_001);
  expect(crc32c(tail, crc32c(head))).toBe(crc32c(bytes));
  expect(adler32(tail, adler32(head))).toBe(adler32(bytes));
  if (typeof zlibCrc32 === 'function') expect(crc32(bytes)).toBe(zlibCrc32(bytes));
});
