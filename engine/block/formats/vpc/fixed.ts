/** Fixed VHD: the disk as it is, then the footer. */
import type { Maybe } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { FlatArea } from '../shared/flat.ts';
import { describeVhd, type VhdHeaders } from './header.ts';

export class VpcFixedDriver implements FormatDriver {
  readonly format = 'vpc';
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly storage: Storage;
  readonly headers: VhdHeaders;
  readonly #area: FlatArea;

  constructor(storage: Storage, headers: VhdHeaders, readOnly: boolean) {
    this.storage = storage;
    this.headers = headers;
    this.virtualSize = headers.virtualSize;
    this.readOnly = readOnly;
    this.#area = new FlatArea(storage, 0);
  }

  locate(offset: number, length: number, out: ExtentSlot): void {
    this.#area.locate(offset, length, out, !this.readOnly);
  }

  holesAre(): 'zeroes' {
    return 'zeroes';
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return this.#area.write(offset, source);
  }

  writeZeroes(offset: number, length: number): Maybe<void> {
    return this.#area.writeZeroes(offset, length);
  }

  flush(): Maybe<void> {
    return this.storage.flush();
  }

  describe(): FormatDescription {
    return { header: describeVhd(this.headers) };
  }

  close(): Maybe<void> {
    return this.storage.close();
  }
}
