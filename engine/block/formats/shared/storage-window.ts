/** Reading pieces of an image while it is opened: bounded, and with the size known. */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';

/** `length` bytes at `offset`, both in bytes. Throws `<format>.truncated` naming `what` when the file ends before. */
export function* readExactly(
  storage: Storage,
  offset: number,
  length: number,
  format: string,
  what: string,
): Steps<Uint8Array> {
  const size = yield* wait(storage.size());
  requireInside(storage.name, size, offset, length, format, what);
  const bytes = new Uint8Array(length);
  yield* wait(storage.read(offset, bytes));
  return bytes;
}

/** Throws `<format>.truncated` unless the range lies within a file of `size` bytes. */
export function requireInside(
  image: string,
  size: number,
  offset: number,
  length: number,
  format: string,
  what: string,
): void {
  if (offset >= 0 && offset + length <= size) return;
  throw new PlatterError(
    `${format}.truncated`,
    `"${image}" ends at byte ${size}, before the ${what} (${length} bytes at ${offset})`,
    {
      image,
      field: what,
      offset,
      value: `${size} bytes`,
      expected: `at least ${offset + length} bytes`,
      hint: 'The file is truncated, or its header is damaged: get a complete copy.',
    },
  );
}
