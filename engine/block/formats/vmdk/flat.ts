/** Extents without tables: a stretch of a file (FLAT, VMFS), or nothing at all (ZERO). */
import type { Maybe } from '../../../maybe.ts';
import type { ExtentSlot } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { FlatArea } from '../shared/flat.ts';
import type { VmdkExtent } from './driver.ts';
import type { Announcer } from './sparse.ts';
import { run, wait, type Steps } from '../../../maybe.ts';

export class FlatExtent implements VmdkExtent {
  readonly virtualSize: number;
  readonly storage: Storage;
  readonly #area: FlatArea;
  readonly #readOnly: boolean;
  readonly #announcer: Announcer;

  /** `sectors` of the disk from sector `start` of `storage` on. */
  constructor(storage: Storage, start: number, sectors: number, readOnly: boolean, announcer: Announcer) {
    this.storage = storage;
    this.virtualSize = sectors * 512;
    this.#area = new FlatArea(storage, start * 512);
    this.#readOnly = readOnly;
    this.#announcer = announcer;
  }

  locate(offset: number, length: number, out: ExtentSlot): void {
    this.#area.locate(offset, length, out, !this.#readOnly && this.#announcer.announced);
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(this.#announced(() => this.#area.write(offset, source)));
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    return run(this.#announced(() => this.#area.writeZeroes(offset, length)));
  }

  discard(): void {
    // A hint; the file keeps its size and its blocks.
  }

  flush(): Maybe<void> {
    return this.storage.flush();
  }

  close(): Maybe<void> {
    return this.storage.close();
  }

  *#announced(operation: () => Maybe<void>): Steps<void> {
    yield* this.#announcer.announce();
    yield* wait(operation());
  }
}
