/** Zero bytes: a shared buffer to write from, and a fast test. */

/** One MiB of zeroes that nobody may write to. */
export const ZEROES = new Uint8Array(1 << 20);

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
