/** cloop, read only: a table of offsets, blocks in zlib streams. */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { inflateExactly } from '../shared/inflate.ts';
import { ReadOnlyDriver } from '../shared/read-only.ts';
import { readExactly } from '../shared/storage-window.ts';
import { PagedTable } from '../shared/table.ts';
import { LastUnpacked } from '../shared/unpacked.ts';
import { cloopHeader, describeCloopHeader, MAX_BLOCK, type CloopHeader } from './header.ts';

export class CloopDriver extends ReadOnlyDriver {
  readonly format = 'cloop';
  readonly virtualSize: number;
  readonly header: CloopHeader;
  readonly #offsets: PagedTable;
  readonly #last = new LastUnpacked();

  constructor(storage: Storage, header: CloopHeader) {
    super(storage);
    this.header = header;
    this.virtualSize = header.n_blocks * header.block_size;
    this.#offsets = new PagedTable({
      storage,
      offset: cloopHeader.size,
      count: header.n_blocks + 1,
      entryBytes: 8,
      endian: 'big',
    });
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const { block_size: size } = this.header;
    return andThen(this.#offsets.getBig(Math.floor(offset / size)), (at) =>
      out.special(Math.min(length, size - (offset % size)), this.storage, Number(at), 'compressed'),
    );
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const { block_size: size } = this.header;
    const index = Math.floor(offset / size);
    return andThen(
      this.#last.get(index, () => run(this.#unpack(index))),
      (block) => {
        target.set(block.subarray(offset % size, (offset % size) + target.length));
      },
    );
  }

  describe(): FormatDescription {
    return { header: describeCloopHeader(this.header), compressed: true };
  }

  *#unpack(index: number): Steps<Uint8Array> {
    const image = this.storage.name;
    const start = Number(yield* wait(this.#offsets.getBig(index)));
    const end = Number(yield* wait(this.#offsets.getBig(index + 1)));
    const length = end - start;
    if (!(length > 0 && length <= 2 * MAX_BLOCK)) {
      throw new PlatterError(
        'cloop.bad-field',
        `Block ${index} of "${image}" would be ${length} bytes long`,
        {
          image,
          field: `offsets[${index + 1}]`,
          offset: cloopHeader.size + (index + 1) * 8,
          value: String(end),
          expected: `an offset after ${start}`,
        },
      );
    }
    const packed = yield* readExactly(this.storage, start, length, 'cloop', 'compressed block');
    return inflateExactly(packed, this.header.block_size, { format: 'cloop', image, offset: start });
  }
}
