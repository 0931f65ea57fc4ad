/** Reading data that may reach past the end of its file: the last cluster of an image need not be there in full. */
import { PlatterError } from '../errors.ts';
import { andThen, isPromise, type Maybe } from '../maybe.ts';
import type { Storage } from './storage/storage.ts';

/**
 * `storage.read`, except that a cluster of `unit` bytes that starts within the storage reads as zeroes past its end. One that
 * starts past the end throws `block.past-end`: a table that points there belongs to a truncated or damaged image.
 */
export function readPadded(
  storage: Storage,
  offset: number,
  target: Uint8Array,
  image: string,
  unit = 1,
): Maybe<void> {
  let result: Maybe<void>;
  try {
    result = storage.read(offset, target);
  } catch (error) {
    return pad(storage, offset, target, { image, unit }, error);
  }
  return isPromise(result)
    ? result.catch((error: unknown) => pad(storage, offset, target, { image, unit }, error))
    : result;
}

function pad(
  storage: Storage,
  offset: number,
  target: Uint8Array,
  { image, unit }: { image: string; unit: number },
  error: unknown,
): Maybe<void> {
  if (!(error instanceof PlatterError) || error.code !== 'storage.short-read') throw error;
  return andThen(storage.size(), (size) => {
    if (offset - (offset % unit) >= size) {
      throw pastEnd(image, offset, size, error);
    }
    const there = Math.max(0, Math.min(target.length, size - offset));
    target.fill(0, there);
    return storage.read(offset, target.subarray(0, there));
  });
}

/** A table points to data that the file does not reach to. */
export function pastEnd(image: string, offset: number, size: number, cause?: unknown): PlatterError {
  return new PlatterError(
    'block.past-end',
    `The data at byte ${offset} of "${image}" would lie past the end of the file at ${size}`,
    { image, offset, value: String(size), hint: 'The file is truncated: get a complete copy.' },
    cause,
  );
}
