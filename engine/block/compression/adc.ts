/** Apple Data Compression, as old disk images have it: bytes of literals, near matches and far ones, told apart by two bits. */
import { LzOutput } from './lz-output.ts';

/** Exactly `size` bytes. Throws when the stream is damaged or gives more or fewer. */
export function unpackAdc(packed: Uint8Array, size: number): Uint8Array {
  const out = new LzOutput(size);
  for (let at = 0; at < packed.length && out.length < size;) {
    const code = packed[at];
    if ((code & 0x80) !== 0) {
      const count = (code & 0x7f) + 1;
      out.literals(packed, at + 1, count);
      at += 1 + count;
      continue;
    }
    const far = (code & 0x40) !== 0;
    const bytes = far ? 3 : 2;
    if (at + bytes > packed.length) throw new Error('the last match is cut short');
    const back = far ? (packed[at + 1] << 8) | packed[at + 2] : ((code & 3) << 8) | packed[at + 1];
    out.match(back + 1, far ? (code & 0x3f) + 4 : (code >> 2) + 3);
    at += bytes;
  }
  return out.finish();
}
