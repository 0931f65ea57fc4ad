/** A format that is only ever read: nothing to flush, nothing to keep but its storage. */
import type { Maybe } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';

export abstract class ReadOnlyDriver implements FormatDriver {
  abstract readonly format: string;
  abstract readonly virtualSize: number;
  readonly readOnly = true;
  readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }

  abstract locate(offset: number, length: number, out: ExtentSlot): Maybe<void>;
  abstract describe(): Maybe<FormatDescription>;

  flush(): void {
    // Nothing is ever written.
  }

  close(): Maybe<void> {
    return this.storage.close();
  }
}
