/** raw: the file is the disk. */
import { PlatterError } from '../../../errors.ts';
import { andThen, type Maybe } from '../../../maybe.ts';
import type {
  ExtentSlot,
  FormatDescription,
  FormatDescriptor,
  FormatDriver,
  OpenContext,
} from '../../format.ts';
import type { RawWindow } from '../../image-tree.ts';
import type { Storage } from '../../storage/storage.ts';
import { createRaw } from './create.ts';
import { guardFirstSector, SECTOR } from './guard.ts';

export const raw: FormatDescriptor = {
  name: 'raw',
  probe: () => 1,
  open: (storage, context) => andThen(storage.size(), (size) => new RawDriver(storage, size, context)),
  create: createRaw,
};

type RawContext = Pick<OpenContext, 'probed' | 'looksLike' | 'readOnly' | 'window'>;

export class RawDriver implements FormatDriver {
  readonly format = 'raw';
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly storage: Storage;
  /** Only guessed to be raw: sector 0 must not become another format's magic. */
  readonly #guarded: boolean;
  readonly #context: RawContext;
  /** The first byte of the disk in its file, and whether the disk has a size of its own. */
  readonly start: number;
  readonly fixedSize: boolean;

  constructor(storage: Storage, size: number, context: RawContext) {
    this.storage = storage;
    const window = context.window;
    this.start = window?.offset ?? 0;
    this.fixedSize = window?.size !== undefined;
    this.virtualSize = window?.size ?? size - this.start;
    if (window !== undefined) checkWindow(storage.name, window, size);
    this.readOnly = storage.readOnly || context.readOnly;
    this.#guarded = context.probed;
    this.#context = context;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    out.data(length, this.storage, this.start + offset, !this.#guarded || offset >= SECTOR);
    if (this.#guarded && offset < SECTOR) out.length = Math.min(length, SECTOR - offset);
  }

  holesAre(): 'hole' {
    return 'hole';
  }

  /** Only ever asked for sector 0 of a guessed raw image. */
  write(offset: number, source: Uint8Array): Maybe<void> {
    return andThen(guardFirstSector(this.storage, this.virtualSize, offset, source, this.#context), () =>
      this.storage.write(this.start + offset, source),
    );
  }

  /** Zeroes are no format's magic. */
  writeZeroes(offset: number, length: number, unmap: boolean): Maybe<void> {
    const start = this.start + offset;
    if (!unmap || this.storage.punch === undefined) return this.storage.writeZeroes(start, length);
    return andThen(this.storage.punch(start, length), (punched) =>
      punched ? undefined : this.storage.writeZeroes(start, length),
    );
  }

  /** A hint: where the space cannot be given back, writing zeroes would take more of it. */
  discard(offset: number, length: number): Maybe<void> {
    return andThen(this.storage.punch?.(this.start + offset, length) ?? false, () => undefined);
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

/** QEMU: raw_apply_options. */
function checkWindow(image: string, { offset, size }: RawWindow, fileSize: number): void {
  const refuse = (field: string, value: number, expected: string): PlatterError =>
    new PlatterError('raw.bad-window', `"${image}" has ${fileSize} bytes: ${field} cannot be ${value}`, {
      image,
      field,
      value: String(value),
      expected,
    });
  if (offset > fileSize) throw refuse('offset', offset, `at most ${fileSize}`);
  if (size === undefined) return;
  if (size % SECTOR !== 0) throw refuse('size', size, 'a multiple of 512');
  if (offset + size > fileSize) throw refuse('size', size, `at most ${fileSize - offset} with that offset`);
}
