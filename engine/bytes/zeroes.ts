/** Zero bytes to write from. */

/** One MiB of zeroes that nobody may write to. */
export const ZEROES = new Uint8Array(1 << 20);
