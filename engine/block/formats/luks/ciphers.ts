/**
 * Sector encryption as dm-crypt and QEMU do it. Everything is built on the block cipher in ECB mode, since that is the one mode that
 * every build of Node's crypto has, and since it takes many sectors in one call.
 */
import { createCipheriv, createDecipheriv, createHash, getCiphers, getHashes } from 'node:crypto';
import { PlatterError } from '../../../errors.ts';

const BLOCK = 16;
/** Bytes of an IV unit, whatever the sector size: IVs count 512-byte sectors. */
const IV_SECTOR = 512;

export interface CipherSpec {
  /** `aes`, … */
  name: string;
  /** `xts-plain64`, `cbc-essiv:sha256`, … */
  mode: string;
}

export interface SectorCipher {
  /** Decrypts whole sectors in place. `sector`: number of the first, in units of 512 bytes, for the IV. */
  decrypt(sector: number, bytes: Uint8Array): void;
  encrypt(sector: number, bytes: Uint8Array): void;
}

type Block = (bytes: Uint8Array) => Uint8Array;
type MakeIvs = (sector: number, count: number, step: number) => Uint8Array;

/** Throws `luks.unsupported` for ciphers, modes, IV generators and hashes that Node's crypto does not have. `sectorSize` in bytes. */
export function sectorCipher(
  spec: CipherSpec,
  key: Uint8Array,
  sectorSize: number,
  image: string,
): SectorCipher {
  const [mode, generator = ''] = splitMode(spec.mode);
  const ivs = ivGenerator(spec.name, generator, key, image);
  if (mode === 'xts') {
    const half = key.length / 2;
    const data = ecb(spec.name, key.subarray(0, half), image);
    const tweak = ecb(spec.name, key.subarray(half), image);
    return new Xts(data, tweak.encrypt, ivs, sectorSize);
  }
  const block = ecb(spec.name, key, image);
  if (mode === 'cbc') return new Cbc(block, ivs, sectorSize);
  if (mode === 'ctr') return new Ctr(block.encrypt, ivs, sectorSize);
  if (mode === 'ecb') {
    return {
      decrypt: (_sector, bytes) => bytes.set(block.decrypt(bytes)),
      encrypt: (_sector, bytes) => bytes.set(block.encrypt(bytes)),
    };
  }
  throw unsupported(image, 'cipher_mode', spec.mode, 'xts, cbc, ctr or ecb');
}

/** `xts-plain64` → `xts`, `plain64`. */
function splitMode(mode: string): [string, string | undefined] {
  const dash = mode.indexOf('-');
  return dash < 0 ? [mode, undefined] : [mode.slice(0, dash), mode.slice(dash + 1)];
}

/** The hash's name as Node's crypto has it. Throws `luks.unsupported`. */
export function hashName(name: string, image: string): string {
  const plain = name.toLowerCase();
  if (getHashes().includes(plain)) return plain;
  throw unsupported(image, 'hash_spec', name, 'a hash that this program has, such as sha256');
}

function ecb(name: string, key: Uint8Array, image: string): { encrypt: Block; decrypt: Block } {
  const algorithm = `${name}-${key.length * 8}-ecb`;
  const known = name === 'aes' || name === 'camellia' || name === 'aria';
  if (!known || !getCiphers().includes(algorithm)) {
    throw unsupported(
      image,
      'cipher_name',
      `${name} with ${key.length * 8} bits`,
      'aes with 128, 192 or 256 bits',
    );
  }
  return {
    encrypt: (bytes) => createCipheriv(algorithm, key, null).setAutoPadding(false).update(bytes),
    decrypt: (bytes) => createDecipheriv(algorithm, key, null).setAutoPadding(false).update(bytes),
  };
}

/** IVs of `count` sectors that lie `step` IV units apart, one after the other. */
function ivGenerator(cipher: string, generator: string, key: Uint8Array, image: string): MakeIvs {
  const [name, hash] = generator.split(':');
  if (name === 'plain') return (sector, count, step) => numbers(sector, count, step, true);
  if (name === 'plain64') return (sector, count, step) => numbers(sector, count, step, false);
  if (name === 'null') return (_sector, count) => new Uint8Array(count * BLOCK);
  if (name === '') return (_sector, count) => new Uint8Array(count * BLOCK);
  if (name === 'essiv' && hash !== undefined) {
    const salt = createHash(hashName(hash, image)).update(key).digest();
    const { encrypt } = ecb(cipher, salt, image);
    return (sector, count, step) => encrypt(numbers(sector, count, step, false));
  }
  throw unsupported(image, 'cipher_mode', generator, 'plain, plain64 or essiv');
}

function numbers(sector: number, count: number, step: number, short: boolean): Uint8Array {
  const ivs = new Uint8Array(count * BLOCK);
  const view = new DataView(ivs.buffer);
  for (let i = 0; i < count; i++) {
    const number = sector + i * step;
    view.setUint32(i * BLOCK, number % 2 ** 32, true);
    if (!short) view.setUint32(i * BLOCK + 4, Math.floor(number / 2 ** 32), true);
  }
  return ivs;
}

/** IEEE 1619, without ciphertext stealing: sectors are whole blocks. */
class Xts implements SectorCipher {
  readonly #data: { encrypt: Block; decrypt: Block };
  readonly #tweak: Block;
  readonly #ivs: MakeIvs;
  readonly #sectorSize: number;

  constructor(data: { encrypt: Block; decrypt: Block }, tweak: Block, ivs: MakeIvs, sectorSize: number) {
    this.#data = data;
    this.#tweak = tweak;
    this.#ivs = ivs;
    this.#sectorSize = sectorSize;
  }

  decrypt(sector: number, bytes: Uint8Array): void {
    this.#apply(sector, bytes, this.#data.decrypt);
  }

  encrypt(sector: number, bytes: Uint8Array): void {
    this.#apply(sector, bytes, this.#data.encrypt);
  }

  #apply(sector: number, bytes: Uint8Array, block: Block): void {
    const tweaks = this.#tweaks(sector, bytes.length);
    xor(bytes, tweaks);
    bytes.set(block(bytes));
    xor(bytes, tweaks);
  }

  /** For each block of each sector the encrypted IV times a power of x in GF(2^128). */
  #tweaks(sector: number, length: number): Uint8Array {
    const count = length / this.#sectorSize;
    const first = this.#tweak(this.#ivs(sector, count, this.#sectorSize / IV_SECTOR));
    const tweaks = new Uint8Array(length);
    const view = new DataView(first.buffer, first.byteOffset);
    const out = new DataView(tweaks.buffer);
    for (let i = 0; i < count; i++) {
      let a = view.getUint32(i * BLOCK, true);
      let b = view.getUint32(i * BLOCK + 4, true);
      let c = view.getUint32(i * BLOCK + 8, true);
      let d = view.getUint32(i * BLOCK + 12, true);
      const end = (i + 1) * this.#sectorSize;
      for (let at = i * this.#sectorSize; at < end; at += BLOCK) {
        out.setUint32(at, a, true);
        out.setUint32(at + 4, b, true);
        out.setUint32(at + 8, c, true);
        out.setUint32(at + 12, d, true);
        const carry = d >>> 31;
        d = (d << 1) | (c >>> 31);
        c = (c << 1) | (b >>> 31);
        b = (b << 1) | (a >>> 31);
        a = (a << 1) ^ (carry * 0x87);
      }
    }
    return tweaks;
  }
}

class Cbc implements SectorCipher {
  readonly #block: { encrypt: Block; decrypt: Block };
  readonly #ivs: MakeIvs;
  readonly #sectorSize: number;

  constructor(block: { encrypt: Block; decrypt: Block }, ivs: MakeIvs, sectorSize: number) {
    this.#block = block;
    this.#ivs = ivs;
    this.#sectorSize = sectorSize;
  }

  /** All blocks at once: each is then combined with the ciphertext before it, or with its sector's IV. */
  decrypt(sector: number, bytes: Uint8Array): void {
    const size = this.#sectorSize;
    const ivs = this.#ivs(sector, bytes.length / size, size / IV_SECTOR);
    const before = new Uint8Array(bytes.length);
    before.set(bytes.subarray(0, bytes.length - BLOCK), BLOCK);
    for (let at = 0, i = 0; at < bytes.length; at += size, i++)
      before.set(ivs.subarray(i * BLOCK, (i + 1) * BLOCK), at);
    bytes.set(this.#block.decrypt(bytes));
    xor(bytes, before);
  }

  /** Block number n of all sectors at once, since each block needs the one before it in its own sector only. */
  encrypt(sector: number, bytes: Uint8Array): void {
    const size = this.#sectorSize;
    const count = bytes.length / size;
    let before = this.#ivs(sector, count, size / IV_SECTOR);
    for (let at = 0; at < size; at += BLOCK) {
      const column = new Uint8Array(count * BLOCK);
      for (let i = 0; i < count; i++)
        column.set(bytes.subarray(i * size + at, i * size + at + BLOCK), i * BLOCK);
      xor(column, before);
      before = this.#block.encrypt(column);
      for (let i = 0; i < count; i++) bytes.set(before.subarray(i * BLOCK, (i + 1) * BLOCK), i * size + at);
    }
  }
}

class Ctr implements SectorCipher {
  readonly #block: Block;
  readonly #ivs: MakeIvs;
  readonly #sectorSize: number;

  constructor(block: Block, ivs: MakeIvs, sectorSize: number) {
    this.#block = block;
    this.#ivs = ivs;
    this.#sectorSize = sectorSize;
  }

  decrypt(sector: number, bytes: Uint8Array): void {
    const size = this.#sectorSize;
    const ivs = this.#ivs(sector, bytes.length / size, size / IV_SECTOR);
    const counters = new Uint8Array(bytes.length);
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const i = Math.floor(at / size);
      counters.set(ivs.subarray(i * BLOCK, (i + 1) * BLOCK), at);
      // The counter is big-endian and starts at the IV.
      let carry = (at % size) / BLOCK;
      for (let byte = at + BLOCK - 1; carry > 0 && byte >= at; byte--) {
        carry += counters[byte];
        counters[byte] = carry & 0xff;
        carry >>= 8;
      }
    }
    xor(bytes, this.#block(counters));
  }

  encrypt(sector: number, bytes: Uint8Array): void {
    this.decrypt(sector, bytes);
  }
}

/** `target ^= other`, four bytes at a time where both are aligned. */
function xor(target: Uint8Array, other: Uint8Array): void {
  if (target.byteOffset % 4 === 0 && other.byteOffset % 4 === 0) {
    const words = target.length >> 2;
    const a = new Uint32Array(target.buffer, target.byteOffset, words);
    const b = new Uint32Array(other.buffer, other.byteOffset, words);
    for (let i = 0; i < words; i++) a[i] ^= b[i];
    return;
  }
  for (let i = 0; i < target.length; i++) target[i] ^= other[i];
}

export function unsupported(image: string, field: string, value: string, expected: string): PlatterError {
  return new PlatterError(
    'luks.unsupported',
    `"${image}" needs ${value} (${field}), which is not available`,
    {
      image,
      field,
      value,
      expected,
    },
  );
}
