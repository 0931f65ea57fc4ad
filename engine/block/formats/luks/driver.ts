/** LUKS: the disk is encrypted sector by sector behind the header (QEMU `block/crypto.c`). */
import { PlatterError } from '../../../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { ExtentSlot, FormatDescription, FormatDriver } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import type { SectorCipher } from './ciphers.ts';

/** Bytes encrypted at once when zeroes are written. */
const ZERO_PIECE = 1 << 20;

export interface LuksVolume {
  /** Where the encrypted data begins in the storage, bytes. */
  payload: number;
  /** Bytes of the guest's disk. */
  size: number;
  /** Unit of encryption, bytes. */
  sectorSize: number;
  /** Added to sector numbers for IVs, units of 512 bytes. */
  ivTweak: number;
  description: FormatDescription;
}

export class LuksDriver implements FormatDriver {
  readonly format = 'luks';
  readonly virtualSize: number;
  readonly readOnly: boolean;
  readonly storage: Storage;
  readonly #volume: LuksVolume;
  readonly #cipher: SectorCipher | undefined;

  /** Without a cipher the image is locked: it tells about itself, and every access throws `luks.locked`. */
  constructor(storage: Storage, volume: LuksVolume, cipher: SectorCipher | undefined, readOnly: boolean) {
    this.storage = storage;
    this.virtualSize = volume.size;
    this.readOnly = readOnly;
    this.#volume = volume;
    this.#cipher = cipher;
  }

  /** Where the encrypted data begins, bytes. */
  get payload(): number {
    return this.#volume.payload;
  }

  locate(offset: number, length: number, out: ExtentSlot): void {
    out.special(length, this.storage, this.#volume.payload + offset, 'encrypted');
  }

  readSpecial(offset: number, target: Uint8Array): Maybe<void> {
    const { sectorSize } = this.#volume;
    const cipher = this.#unlocked();
    const start = offset - (offset % sectorSize);
    const end = Math.ceil((offset + target.length) / sectorSize) * sectorSize;
    const whole = start === offset && end === offset + target.length && target.byteOffset % 4 === 0;
    const bytes = whole ? target : new Uint8Array(end - start);
    return andThen(this.storage.read(this.#volume.payload + start, bytes), () => {
      cipher.decrypt(this.#iv(start), bytes);
      if (!whole) target.set(bytes.subarray(offset - start, offset - start + target.length));
    });
  }

  write(offset: number, source: Uint8Array): Maybe<void> {
    return run(this.#write(offset, source));
  }

  /** Zeroes on the disk are anything but zeroes in the file. */
  writeZeroes(offset: number, length: number): Maybe<void> {
    return run(this.#zero(offset, length));
  }

  flush(): Maybe<void> {
    return this.storage.flush();
  }

  describe(): FormatDescription {
    return { ...this.#volume.description, encrypted: true, locked: this.#cipher === undefined };
  }

  close(): Maybe<void> {
    return this.storage.close();
  }

  *#write(offset: number, source: Uint8Array): Steps<void> {
    const { sectorSize, payload } = this.#volume;
    const cipher = this.#unlocked();
    const start = offset - (offset % sectorSize);
    const end = Math.ceil((offset + source.length) / sectorSize) * sectorSize;
    const bytes = new Uint8Array(end - start);
    // The sectors at both ends keep what is not overwritten.
    for (const at of new Set([start, end - sectorSize])) {
      const covered = at >= offset && at + sectorSize <= offset + source.length;
      if (!covered) yield* wait(this.readSpecial(at, bytes.subarray(at - start, at - start + sectorSize)));
    }
    bytes.set(source, offset - start);
    cipher.encrypt(this.#iv(start), bytes);
    yield* wait(this.storage.write(payload + start, bytes));
  }

  *#zero(offset: number, length: number): Steps<void> {
    for (let done = 0; done < length; done += ZERO_PIECE) {
      yield* this.#write(offset + done, new Uint8Array(Math.min(ZERO_PIECE, length - done)));
    }
  }

  #iv(offset: number): number {
    return offset / 512 + this.#volume.ivTweak;
  }

  #unlocked(): SectorCipher {
    if (this.#cipher !== undefined) return this.#cipher;
    const image = this.storage.name;
    throw new PlatterError('luks.locked', `"${image}" is encrypted and no passphrase was given`, {
      image,
      hint: 'Give the passphrase when opening it.',
    });
  }
}
