/** bzip2, bounded: not a byte more than a chunk may hold. */
import bunzip from 'seek-bzip';

/** Exactly `size` bytes. Throws when the stream is damaged or gives more or fewer. */
export function unpackBzip2(packed: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let written = 0;
  let read = 0;
  const input = {
    readByte: () => (read < packed.length ? packed[read++] : -1),
    read: (target: Uint8Array, at: number, length: number) => {
      const part = packed.subarray(read, read + length);
      target.set(part, at);
      read += part.length;
      return part.length === 0 ? -1 : part.length;
    },
    eof: () => read >= packed.length,
  };
  const output = {
    writeByte: (byte: number) => {
      if (written === size) throw new Error(`more than ${size} bytes came out`);
      bytes[written++] = byte;
    },
  };
  bunzip.decode(input, output);
  if (written !== size) throw new Error(`${written} bytes came out instead of ${size}`);
  return bytes;
}
