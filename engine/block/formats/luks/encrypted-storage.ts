/** A storage whose bytes are encrypted sector by sector, shown as they were before: sector n of the file has number n. */
import { ZEROES } from '../../../bytes/zeroes.ts';
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { Storage, StorageExtent } from '../../storage/storage.ts';
import type { SectorCipher } from './ciphers.ts';

const SECTOR = 512;

export class EncryptedStorage implements Storage {
  readonly name: string;
  readonly protocol: string;
  readonly readOnly: boolean;
  readonly #inner: Storage;
  readonly #cipher: SectorCipher | undefined;

  /** Without a cipher every access throws `luks.locked`. Closing it closes `inner`. */
  constructor(inner: Storage, cipher: SectorCipher | undefined) {
    this.name = inner.name;
    this.protocol = inner.protocol;
    this.readOnly = inner.readOnly;
    this.#inner = inner;
    this.#cipher = cipher;
  }

  size(): Maybe<number> {
    return this.#inner.size();
  }

  read(offset: number, target: Uint8Array): Maybe<void> {
    const cipher = this.#unlocked();
    const start = offset - (offset % SECTOR);
    const end = Math.ceil((offset + target.length) / SECTOR) * SECTOR;
    const whole = start === offset && end === offset + target.length && target.byteOffset % 4 === 0;
    const bytes = whole ? target : new Uint8Array(end - start);
    return andThen(this.#inner.read(start, bytes), () => {
      cipher.decrypt(start / SECTOR, bytes);
      if (!whole) target.set(bytes.subarray(offset - start, offset - start + target.length));
    });
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(this.#write(offset, source));
  }

  /** Zeroes as the guest sees them are anything but zeroes in the file. */
  writeZeroes(offset: number, length: number): Maybe<void> {
    return run(this.#zero(offset, length));
  }

  truncate(size: number): Maybe<void> {
    return this.#inner.truncate(size);
  }

  flush(): Maybe<void> {
    return this.#inner.flush();
  }

  extentAt(offset: number, length: number): StorageExtent {
    // A hole of the file shows as noise.
    return { offset, length, kind: 'data' };
  }

  allocatedSize(): Maybe<number | undefined> {
    return this.#inner.allocatedSize();
  }

  close(): Maybe<void> {
    return this.#inner.close();
  }

  *#write(offset: number, source: Uint8Array): Steps<void> {
    const cipher = this.#unlocked();
    const start = offset - (offset % SECTOR);
    const end = Math.ceil((offset + source.length) / SECTOR) * SECTOR;
    const bytes = new Uint8Array(end - start);
    // The sectors at both ends keep what is not overwritten; behind the end of the file there is nothing to keep.
    const size = yield* wait(this.#inner.size());
    for (const at of new Set([start, end - SECTOR])) {
      const covered = at >= offset && at + SECTOR <= offset + source.length;
      if (covered || at + SECTOR > size) continue;
      yield* wait(this.read(at, bytes.subarray(at - start, at - start + SECTOR)));
    }
    bytes.set(source, offset - start);
    cipher.encrypt(start / SECTOR, bytes);
    yield* wait(this.#inner.write(start, bytes));
  }

  *#zero(offset: number, length: number): Steps<void> {
    for (let done = 0; done < length; done += ZEROES.length) {
      yield* this.#write(offset + done, ZEROES.subarray(0, Math.min(ZEROES.length, length - done)));
    }
  }

  #unlocked(): SectorCipher {
    if (this.#cipher !== undefined) return this.#cipher;
    throw new PlatterError('luks.locked', `"${this.name}" is encrypted and no passphrase was given`, {
      image: this.name,
      hint: 'Give the passphrase when opening it.',
    });
  }
}
