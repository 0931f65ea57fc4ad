/** Unpacking a compressed cluster of a hostile image: never more comes out than one cluster. */
import { inflateSync } from 'node:zlib';
import { PlatterError } from '../../../errors.ts';

/**
 * Exactly `size` bytes out of a zlib stream; what follows the stream is ignored.
 * Throws `<format>.bad-compressed`.
 */
export function inflateExactly(
  packed: Uint8Array,
  size: number,
  where: { format: string; image: string; offset: number },
): Uint8Array {
  try {
    return unpackZlib(packed, size);
  } catch (error) {
    throw badCompressed(where, error);
  }
}

/** The same for a caller that says itself where the stream lies. Throws when it is damaged or gives more or fewer. */
export function unpackZlib(packed: Uint8Array, size: number): Uint8Array {
  const options = { maxOutputLength: size, chunkSize: Math.max(64, Math.min(size, 1 << 20)) };
  const bytes = inflateSync(packed, options);
  if (bytes.length === size) return bytes;
  throw new Error(`${bytes.length} bytes came out instead of ${size}`);
}

export function badCompressed(
  where: { format: string; image: string; offset: number },
  cause: unknown,
): PlatterError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new PlatterError(
    `${where.format}.bad-compressed`,
    `The compressed data at ${where.offset} of "${where.image}" cannot be unpacked: ${why}`,
    { image: where.image, offset: where.offset, value: why, hint: 'The image is damaged: get another copy.' },
    cause,
  );
}
