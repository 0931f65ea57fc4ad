/** Creating a raw image: a file of the right length, one hole, or zeroes where space shall be taken beforehand. */
import { ZEROES } from '../../../bytes/zeroes.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { choice, knownOptions } from '../shared/options.ts';

/** Options: `size`, `preallocation` (off, falloc, full). Throws `block.unknown-option` for others. */
export function createRaw(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('raw', options, ['preallocation']);
  const taken = choice(options, 'preallocation', ['off', 'falloc', 'full']) !== 'off';
  return taken ? run(writeZeroes(storage, 0, options.size)) : storage.truncate(options.size);
}

/** Writes zeroes from byte `from` to `end`: Node can reserve space in no other way. */
export function* writeZeroes(storage: Storage, from: number, end: number): Steps<void> {
  for (let at = from; at < end; at += ZEROES.length) {
    yield* wait(storage.write(at, ZEROES.subarray(0, Math.min(ZEROES.length, end - at))));
  }
}
