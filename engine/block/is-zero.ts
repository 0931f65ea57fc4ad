/** A fast test for zeroes. */
import { ZEROES } from '../bytes/zeroes.ts';

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const { length } = bytes;
  if (length === 0) return true;
  // Most data betrays itself at its start, middle or end.
  if ((bytes[0] | bytes[length >> 1] | bytes[length - 1]) !== 0) return false;
  if (length < SHORT) return bytes.every((byte) => byte === 0);
  for (let at = 0; at < length; at += ZEROES.length) {
    const count = Math.min(ZEROES.length, length - at);
    // The C library compares several times as fast as a loop does.
    if (Buffer.compare(bytes.subarray(at, at + count), zeroes(count)) !== 0) return false;
  }
  return true;
}

/** Below this a loop is faster than a call. */
const SHORT = 64;

/** The usual lengths again and again: their views are made once. */
let lastZeroes = ZEROES;

function zeroes(length: number): Uint8Array {
  if (lastZeroes.length !== length) lastZeroes = ZEROES.subarray(0, length);
  return lastZeroes;
}
