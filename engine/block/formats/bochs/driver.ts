/** A growing Bochs disk, read only: a catalog of extents, each a bitmap of its sectors and then the sectors. */
import { andThen, type Maybe } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { readPadded } from '../../padded.ts';
import { ReadOnlyDriver } from '../shared/read-only.ts';
import { PagedTable } from '../shared/table.ts';
import { LastUnpacked } from '../shared/unpacked.ts';
import { BOCHS_UNALLOCATED, extentPlace, type BochsImage } from './header.ts';

export class BochsDriver extends ReadOnlyDriver {
  readonly format = 'bochs';
  readonly virtualSize: number;
  readonly #image: BochsImage;
  readonly #catalog: PagedTable;
  readonly #bitmap = new LastUnpacked();

  constructor(storage: Storage, image: BochsImage) {
    super(storage);
    const { header } = image;
    this.#image = image;
    this.virtualSize = Math.floor(header.disk / 512) * 512;
    this.#catalog = new PagedTable({
      storage,
      offset: header.header,
      count: header.catalog,
      entryBytes: 4,
      endian: 'little',
    });
  }

  locate(offset: number, length: number, out: ExtentSlot): Maybe<void> {
    const { extent } = this.#image.header;
    const inExtent = offset % extent;
    const reach = Math.min(length, extent - inExtent);
    return andThen(this.#catalog.get(Math.floor(offset / extent)), (number) => {
      if (number === BOCHS_UNALLOCATED) {
        out.unallocated(reach);
        return;
      }
      const { bitmap, bitmapBytes, data } = extentPlace(this.#image.header, number);
      return andThen(
        this.#bitmap.get(bitmap, () => this.#read(bitmap, bitmapBytes)),
        (bits) => {
          const here = hasBit(bits, Math.floor(inExtent / 512));
          let end = inExtent - (inExtent % 512) + 512;
          while (end < inExtent + reach && hasBit(bits, end / 512) === here) end += 512;
          const part = Math.min(reach, end - inExtent);
          if (here) out.data(part, this.storage, data + inExtent, false);
          else out.unallocated(part);
        },
      );
    });
  }

  describe(): FormatDescription {
    return { header: this.#image.fields };
  }

  #read(bitmap: number, bytes: number): Maybe<Uint8Array> {
    const bits = new Uint8Array(bytes);
    return andThen(readPadded(this.storage, bitmap, bits, this.storage.name), () => bits);
  }
}

/** The least significant bit of a byte comes first. */
function hasBit(bits: Uint8Array, sector: number): boolean {
  return (bits[sector >> 3] & (1 << (sector & 7))) !== 0;
}
