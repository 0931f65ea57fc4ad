/** Zero bytes: a shared buffer to write from, and a fast test. */

/** One MiB of zeroes that nobody may write to. */
export const ZEROES = new Uint8Array(1 << 20);

/** Whether all bytes are zero. Looks at 4 bytes at a time where the buffer is aligned. */
export function isZero(bytes: Uint8Array): boolean {
  const length = bytes.length;
  // Most data betrays itself at its start, middle or end.
  if (length === 0) return true;
  if ((bytes[0] | bytes[length >> 1] | bytes[length - 1]) !== 0) return false;
  let index = 0;
  if (bytes.byteOffset % 4 === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, length >> 2);
    for (let word = 0; word < words.length; word++) if (words[word] !== 0) return false;
    index = words.length * 4;
  }
  for (; index < length; index++) if (bytes[index] !== 0) return false;
  return true;
}
