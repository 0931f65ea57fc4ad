/** An empty LUKS1 image with one key slot, as `qemu-img create -f luks` makes it. */
import { pbkdf2Sync, randomFillSync } from 'node:crypto';
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { writeZeroes } from '../raw/create.ts';
import { alignUp } from '../shared/check-fields.ts';
import { byteSize, choice, diskSize, knownOptions } from '../shared/options.ts';
import { split } from './antiforensic.ts';
import { hashName, sectorCipher, type CipherSpec } from './ciphers.ts';
import { luks1Header, luks1Slot, MAGIC, SLOT_ACTIVE, SLOT_INACTIVE, SLOTS, STRIPES } from './header1.ts';
import { derive } from './unlock.ts';

const OPTIONS = [
  'key-secret',
  'cipher-alg',
  'cipher-mode',
  'ivgen-alg',
  'ivgen-hash-alg',
  'hash-alg',
  'iter-time',
];
/** Bytes: QEMU puts key material and data on borders of 4 KiB. */
const ALIGN = 4096;
const MIN_ITERATIONS = 1000;
/** Iterations of the measurement. */
const PROBE = 1 << 15;

export interface LuksPlan {
  passphrase: Uint8Array;
  cipher: { name: string; mode: string };
  keyBytes: number;
  hash: string;
  /** Of the key slot. */
  iterations: number;
}

/**
 * Options as QEMU names them; `key-secret` is the passphrase itself, whoever names a secret object resolves it before. `iter-time`:
 * milliseconds that one attempt at a passphrase shall take. Throws `luks.locked` without a passphrase, `luks.unsupported`.
 */
export function createLuks(storage: Storage, options: CreateOptions): Maybe<void> {
  knownOptions('luks', options, [...OPTIONS, 'preallocation']);
  const size = diskSize(options, 2 ** 53 - 2 ** 32);
  const taken = choice(options, 'preallocation', ['off', 'falloc', 'full']) !== 'off';
  return run(steps(storage, size, taken, planLuks(storage.name, options)));
}

/** Bytes from the start of the header to that of the encrypted data. Throws as `createLuks`. */
export function luksPayloadOffset(image: string, options: Omit<CreateOptions, 'size'>): number {
  return payloadOffset(planLuks(image, options, 1));
}

function payloadOffset({ keyBytes }: LuksPlan): number {
  return ALIGN + SLOTS * alignUp(keyBytes * STRIPES, ALIGN);
}

/** Checks the options. `iterations` given: they are not measured. */
export function planLuks(image: string, options: Omit<CreateOptions, 'size'>, iterations?: number): LuksPlan {
  const secret = options['key-secret'];
  if (secret === undefined) {
    throw new PlatterError('luks.locked', 'A LUKS image needs a passphrase', { image, option: 'key-secret' });
  }
  const bits = Number(choice(options, 'cipher-alg', ['aes-256', 'aes-192', 'aes-128']).slice(4));
  const mode = choice(options, 'cipher-mode', ['xts', 'cbc', 'ctr', 'ecb']);
  const generator = choice(options, 'ivgen-alg', ['plain64', 'plain', 'essiv']);
  const ivHash = String(options['ivgen-hash-alg'] ?? 'sha256');
  const suffix = generator === 'essiv' ? `essiv:${hashName(ivHash, image)}` : generator;
  const hash = hashName(String(options['hash-alg'] ?? 'sha256'), image);
  const millis = byteSize(options, 'iter-time', 2000, (value) => value >= 1 && value <= 60000, '1 to 60000');
  return {
    passphrase: new TextEncoder().encode(String(secret)),
    cipher: { name: 'aes', mode: `${mode}-${suffix}` },
    keyBytes: (bits / 8) * (mode === 'xts' ? 2 : 1),
    hash,
    iterations: iterations ?? iterationsFor(millis, hash),
  };
}

/** How many rounds this machine does in that time. */
export function iterationsFor(millis: number, hash: string): number {
  const start = performance.now();
  pbkdf2Sync('measure', 'measure', PROBE, 64, hash);
  const spent = Math.max(0.1, performance.now() - start);
  return Math.max(MIN_ITERATIONS, Math.round((PROBE * millis) / spent));
}

function* steps(storage: Storage, size: number, taken: boolean, given: LuksPlan): Steps<void> {
  const made = yield* makeLuks(storage.name, given);
  const end = made.header.length + size;
  yield* wait(storage.truncate(end));
  if (taken) yield* writeZeroes(storage, made.header.length, end);
  yield* wait(storage.write(0, made.header));
}

/** A new header with one key slot, up to the encrypted data, and the key that it holds. */
export function* makeLuks(
  image: string,
  given: LuksPlan,
): Steps<{ header: Uint8Array; key: Uint8Array; cipher: CipherSpec }> {
  const key = randomFillSync(new Uint8Array(given.keyBytes));
  const masterIterations = Math.max(MIN_ITERATIONS, Math.round(given.iterations / 8));
  const masterSalt = randomFillSync(new Uint8Array(32));
  const digest = yield* wait(derive(key, masterSalt, masterIterations, 20, given.hash));
  const slotBytes = alignUp(given.keyBytes * STRIPES, ALIGN);
  const first = yield* fillSlot(image, given, key);
  const bytes = new Uint8Array(payloadOffset(given));
  bytes.set(first.material, ALIGN);
  const header = luks1Header.encode({
    magic: MAGIC,
    version: 1,
    cipher_name: given.cipher.name,
    cipher_mode: given.cipher.mode,
    hash_spec: given.hash,
    payload_offset: bytes.length / 512,
    key_bytes: given.keyBytes,
    mk_digest: digest,
    mk_digest_salt: masterSalt,
    mk_digest_iter: masterIterations,
    uuid: globalThis.crypto.randomUUID(),
  });
  bytes.set(header);
  for (let index = 0; index < SLOTS; index++) {
    const slot = luks1Slot.encode({
      active: index === 0 ? SLOT_ACTIVE : SLOT_INACTIVE,
      iterations: index === 0 ? given.iterations : 0,
      salt: index === 0 ? first.salt : new Uint8Array(32),
      key_material_offset: (ALIGN + index * slotBytes) / 512,
      stripes: STRIPES,
    });
    bytes.set(slot, luks1Header.size + index * luks1Slot.size);
  }
  return { header: bytes, key, cipher: given.cipher };
}

/** The volume key behind a passphrase, as a key slot holds it: whole sectors, encrypted. */
export function* fillSlot(
  image: string,
  given: Pick<LuksPlan, 'passphrase' | 'keyBytes' | 'hash' | 'cipher' | 'iterations'>,
  key: Uint8Array,
): Steps<{ salt: Uint8Array; material: Uint8Array }> {
  const salt = randomFillSync(new Uint8Array(32));
  const slotKey = yield* wait(derive(given.passphrase, salt, given.iterations, given.keyBytes, given.hash));
  const material = new Uint8Array(alignUp(given.keyBytes * STRIPES, 512));
  material.set(split(key, STRIPES, given.hash));
  sectorCipher(given.cipher, slotKey, 512, image).encrypt(0, material);
  return { salt, material };
}
