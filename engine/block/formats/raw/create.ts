/** Creating a raw image: a file of the right length, one hole. */
import { PlatterError } from '../../../errors.ts';
import type { Maybe } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';

/** Options: `size`. Throws `block.unknown-option` for others. */
export function createRaw(storage: Storage, options: CreateOptions): Maybe<void> {
  for (const option of Object.keys(options)) {
    if (option === 'size' || options[option] === undefined) continue;
    throw new PlatterError('block.unknown-option', `The raw format has no option "${option}"`, {
      option,
      expected: 'size',
    });
  }
  return storage.truncate(options.size);
}
