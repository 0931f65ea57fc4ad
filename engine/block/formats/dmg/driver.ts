/** dmg (UDIF), read only: chunks that are plain, zero or packed in one of several ways. */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import { unpackAdc } from '../../compression/adc.ts';
import { unpackLzfse } from '../../compression/lzfse.ts';
import { unpackXz } from '../../compression/xz.ts';
import type { ExtentSlot, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { badCompressed, unpackZlib } from '../shared/inflate.ts';
import { ReadOnlyDriver } from '../shared/read-only.ts';
import { readExactly } from '../shared/storage-window.ts';
import { LastUnpacked } from '../shared/unpacked.ts';
import { unpackBzip2 } from './bzip2.ts';
import {
  ADC,
  BZIP2,
  IGNORE,
  LZFSE,
  LZMA,
  PLAIN,
  ZERO_FILL,
  ZLIB,
  type Chunk,
  type DmgImage,
} from './header.ts';

/** By the type of a chunk: exactly so many bytes out of its packed ones, or an error. */
const UNPACKERS = new Map<number, (packed: Uint8Array, size: number) => Maybe<Uint8Array>>([
  [ADC, unpackAdc],
  [ZLIB, unpackZlib],
  [BZIP2, unpackBzip2],
  [LZFSE, unpackLzfse],
  [LZMA, unpackXz],
]);

export class DmgDriver extends ReadOnlyDriver {
  readonly format = 'dmg';
  readonly virtualSize: number;
  readonly #image: DmgImage;
  readonly #last = new LastUnpacked();

  constructor(storage: Storage, image: DmgImage) {
    super(storage);
    this.#image = image;
    this.virtualSize = image.virtualSize;
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const { chunks } = this.#image;
    const index = this.#find(offset);
    const chunk = chunks[index];
    if (chunk === undefined || offset >= chunk.start + chunk.length) {
      // Between chunks lies nothing.
      const next = chunks[index + 1];
      out.zero(next === undefined ? length : Math.min(length, next.start - offset));
      return;
    }
    // Where chunks overlap, the one that begins last counts.
    const end = Math.min(chunk.start + chunk.length, chunks[index + 1]?.start ?? Infinity);
    const part = Math.min(length, end - offset);
    if (chunk.type === ZERO_FILL || chunk.type === IGNORE) out.zero(part);
    else if (chunk.type === PLAIN) this.#plain(chunk, offset, part, out);
    else out.special(part, this.storage, chunk.offset, 'compressed');
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const index = this.#find(offset);
    const chunk = this.#image.chunks[index];
    return andThen(
      this.#last.get(index, () => run(this.#unpack(chunk))),
      (bytes) => {
        target.set(bytes.subarray(offset - chunk.start, offset - chunk.start + target.length));
      },
    );
  }

  describe(): FormatDescription {
    return { header: this.#image.fields, compressed: true };
  }

  /** A plain chunk that is shorter in the file than on the disk ends in zeroes. */
  #plain(chunk: Chunk, offset: number, length: number, out: ExtentSlot): void {
    const left = chunk.start + chunk.packed - offset;
    if (left > 0) out.data(Math.min(length, left), this.storage, chunk.offset + offset - chunk.start, false);
    else out.zero(length);
  }

  /** The last chunk that begins at or before `offset`; -1 when there is none. */
  #find(offset: number): number {
    const { chunks } = this.#image;
    let low = -1;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (chunks[middle].start <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  *#unpack(chunk: Chunk): Steps<Uint8Array> {
    const image = this.storage.name;
    const unpack = UNPACKERS.get(chunk.type);
    if (unpack === undefined) throw this.#unsupported(chunk);
    const packed = yield* readExactly(this.storage, chunk.offset, chunk.packed, 'dmg', 'compressed chunk');
    try {
      return yield* wait(unpack(packed, chunk.length));
    } catch (error) {
      throw badCompressed({ format: 'dmg', image, offset: chunk.offset }, error);
    }
  }

  #unsupported(chunk: Chunk): PlatterError {
    const image = this.storage.name;
    const name = `type 0x${chunk.type.toString(16)}`;
    return new PlatterError(
      'dmg.unsupported',
      `The chunk at ${chunk.start} of "${image}" is packed with ${name}, which is not read`,
      {
        image,
        field: 'type',
        offset: chunk.offset,
        value: name,
        expected: 'ADC, zlib, bzip2, LZFSE, LZMA, plain or zero chunks',
        hint: 'Convert it on a Mac: hdiutil convert -format UDZO.',
      },
    );
  }
}
