/** An empty LUKS1 image with one key slot, as `qemu-img create -f luks` makes it. */
import { pbkdf2Sync, randomFillSync } from 'node:crypto';
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { byteSize, choice, diskSize, knownOptions } from '../shared/options.ts';
import { split } from './antiforensic.ts';
import { hashName, sectorCipher } from './ciphers.ts';
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

interface Plan {
  size: number;
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
  knownOptions('luks', options, OPTIONS);
  return run(steps(storage, plan(storage.name, options)));
}

function plan(image: string, options: CreateOptions): Plan {
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
    size: diskSize(options, 2 ** 53 - 2 ** 32),
    passphrase: new TextEncoder().encode(String(secret)),
    cipher: { name: 'aes', mode: `${mode}-${suffix}` },
    keyBytes: (bits / 8) * (mode === 'xts' ? 2 : 1),
    hash,
    iterations: iterationsFor(millis, hash),
  };
}

/** How many rounds this machine does in that time. */
function iterationsFor(millis: number, hash: string): number {
  const start = performance.now();
  pbkdf2Sync('measure', 'measure', PROBE, 64, hash);
  const spent = Math.max(0.1, performance.now() - start);
  return Math.max(MIN_ITERATIONS, Math.round((PROBE * millis) / spent));
}

function* steps(storage: Storage, given: Plan): Steps<void> {
  const key = randomFillSync(new Uint8Array(given.keyBytes));
  const masterIterations = Math.max(MIN_ITERATIONS, Math.round(given.iterations / 8));
  const masterSalt = randomFillSync(new Uint8Array(32));
  const salt = randomFillSync(new Uint8Array(32));
  const digest = yield* wait(derive(key, masterSalt, masterIterations, 20, given.hash));
  const slotKey = yield* wait(derive(given.passphrase, salt, given.iterations, given.keyBytes, given.hash));
  const slotBytes = alignUp(given.keyBytes * STRIPES, ALIGN);
  const material = new Uint8Array(alignUp(given.keyBytes * STRIPES, 512));
  material.set(split(key, STRIPES, given.hash));
  sectorCipher(given.cipher, slotKey, 512, storage.name).encrypt(0, material);
  const payload = ALIGN + SLOTS * slotBytes;
  const header = luks1Header.encode({
    magic: MAGIC,
    version: 1,
    cipher_name: given.cipher.name,
    cipher_mode: given.cipher.mode,
    hash_spec: given.hash,
    payload_offset: payload / 512,
    key_bytes: given.keyBytes,
    mk_digest: digest,
    mk_digest_salt: masterSalt,
    mk_digest_iter: masterIterations,
    uuid: globalThis.crypto.randomUUID(),
  });
  const bytes = new Uint8Array(luks1Header.size + SLOTS * luks1Slot.size);
  bytes.set(header);
  for (let index = 0; index < SLOTS; index++) {
    const first = index === 0;
    const slot = luks1Slot.encode({
      active: first ? SLOT_ACTIVE : SLOT_INACTIVE,
      iterations: first ? given.iterations : 0,
      salt: first ? salt : new Uint8Array(32),
      key_material_offset: (ALIGN + index * slotBytes) / 512,
      stripes: STRIPES,
    });
    bytes.set(slot, luks1Header.size + index * luks1Slot.size);
  }
  yield* wait(storage.truncate(payload + given.size));
  yield* wait(storage.write(ALIGN, material));
  yield* wait(storage.write(0, bytes));
}
