/** Big-endian tables as numbers of this machine: one pass of the C library, and entries that cost as much as those of any array. */
import { endianness } from 'node:os';

const SWAP = endianness() === 'LE';

/** The 32-bit words of `bytes`, whose memory is changed and shared. The bytes start at a multiple of 4 and are a multiple of 4. */
export function takeWords32(bytes: Uint8Array): Uint32Array {
  if (SWAP) asBuffer(bytes).swap32();
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** The same in 16-bit words. */
export function takeWords16(bytes: Uint8Array): Uint16Array {
  if (SWAP) asBuffer(bytes).swap16();
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
