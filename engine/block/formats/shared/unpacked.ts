/** The block that was unpacked last: small reads in a row unpack it once. */
import { andThen, type Maybe } from '../../../maybe.ts';

export class LastUnpacked {
  #key = -1;
  #bytes = new Uint8Array(0);

  /** The block `key`, unpacked by `unpack` unless it is the one at hand. */
  get(key: number, unpack: () => Maybe<Uint8Array>): Maybe<Uint8Array> {
    if (this.#key === key) return this.#bytes;
    return andThen(unpack(), (bytes) => {
      this.#key = key;
      this.#bytes = bytes as Uint8Array<ArrayBuffer>;
      return bytes;
    });
  }
}
