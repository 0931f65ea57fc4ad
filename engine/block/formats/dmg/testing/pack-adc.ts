/** A simple packer of Apple Data Compression: takes the nearest earlier place of the same three bytes. */

const FAR = 65536;
const NEAR = 1024;

export function packAdc(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  const places = new Map<number, number>();
  let from = 0;
  const literals = (to: number): void => {
    for (; from < to; from += 128) {
      const part = bytes.subarray(from, Math.min(to, from + 128));
      out.push(0x80 | (part.length - 1), ...part);
    }
    from = to;
  };
  for (let at = 0; at < bytes.length;) {
    const key = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    const back = at - (places.get(key) ?? -Infinity);
    places.set(key, at);
    const length = back <= FAR ? matching(bytes, at, back) : 0;
    if (back <= NEAR && length >= 3 && length <= 18) {
      literals(at);
      out.push(((length - 3) << 2) | ((back - 1) >> 8), (back - 1) & 0xff);
    } else if (length >= 4) {
      literals(at);
      out.push(0x40 | (length - 4), (back - 1) >> 8, (back - 1) & 0xff);
    } else {
      at++;
      continue;
    }
    at += length;
    from = at;
  }
  literals(bytes.length);
  return Uint8Array.from(out);
}

/** How many bytes at `at` are those `back` bytes before, at most 67. */
function matching(bytes: Uint8Array, at: number, back: number): number {
  let length = 0;
  while (length < 67 && at + length < bytes.length && bytes[at + length] === bytes[at + length - back])
    length++;
  return length;
}
