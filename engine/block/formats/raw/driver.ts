/** raw: the file is the disk. */
import { andThen, type Maybe } from '../../../maybe.ts';
import type {
  ExtentSlot,
  FormatDescription,
  FormatDescriptor,
  FormatDriver,
  OpenContext,
} from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { createRaw } from './create.ts';
import { guardFirstSector, SECTOR } from './guard.ts';

export const raw: FormatDescriptor = {
  name: 'raw',
  probe: () => 1,
  open: (storage, context) => andThen(storage.size(), (size) => new RawDriver(storage, size, context)),
  create: createRaw,
};

export class RawDriver implements FormatDriver {
  readonly format = 'raw';
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly storage: Storage;
  /** Only guessed to be raw: sector 0 must not become another format's magic. */
  readonly #guarded: boolean;
  readonly #context: Pick<OpenContext, 'probed' | 'looksLike' | 'readOnly'>;

  constructor(
    storage: Storage,
    size: number,
    context: Pick<OpenContext, 'probed' | 'looksLike' | 'readOnly'>,
  ) {
    this.storage = storage;
    this.virtualSize = size;
    this.readOnly = storage.readOnly || context.readOnly;
    this.#guarded = context.probed;
    this.#context = context;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    out.data(length, this.storage, offset, !this.#guarded || offset >= SECTOR);
    if (this.#guarded && offset < SECTOR) out.length = Math.min(length, SECTOR - offset);
  }

  holesAre(): 'hole' {
    return 'hole';
  }

  /** Only ever asked for sector 0 of a guessed raw image. */
  write(offset: number, source: Uint8Array): Maybe<void> {
    return andThen(guardFirstSector(this.storage, this.virtualSize, offset, source, this.#context), () =>
      this.storage.write(offset, source),
    );
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    // Zeroes are no format's magic.
    return this.storage.writeZeroes(offset, length);
  }

  discard(): void {
    // A hint; punching holes into files is beyond Node, and writing zeroes would cost space instead of giving it.
  }

  flush(): Maybe<void> {
    return this.storage.flush();
  }

  describe(): FormatDescription {
    return { header: [] };
  }

  close(): Maybe<void> {
    return this.storage.close();
  }
}
