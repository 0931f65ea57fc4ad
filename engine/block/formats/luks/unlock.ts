/** From a passphrase to the volume key: each key slot in turn, until a digest agrees. */
import { pbkdf2, timingSafeEqual } from 'node:crypto';
import { argon2i, argon2id } from 'hash-wasm';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { readExactly } from '../shared/storage-window.ts';
import { merge } from './antiforensic.ts';
import { hashName, sectorCipher, unsupported, type CipherSpec } from './ciphers.ts';
import { MAX_ITERATIONS, SLOT_ACTIVE, type Luks1Header, type Luks1Slot } from './header1.ts';
import type { Luks2Header, Luks2Keyslot } from './header2.ts';

/** KiB; cryptsetup takes 1 GiB at most by default. */
const MAX_ARGON_MEMORY = 1 << 20;
const MAX_ARGON_TIME = 1000;
const MAX_ARGON_LANES = 64;

/** The volume key. Throws `luks.wrong-passphrase`. */
export function* unlockLuks1(
  storage: Storage,
  header: Luks1Header,
  passphrase: Uint8Array,
): Steps<Uint8Array> {
  for (const slot of header.slots) {
    if (slot.active !== SLOT_ACTIVE) continue;
    const key = yield* keyOfSlot(storage, header, slot, passphrase);
    if (key !== undefined) return key;
  }
  throw wrong(storage.name);
}

/** The volume key out of one slot; undefined when the passphrase does not open it. */
export function* keyOfSlot(
  storage: Storage,
  header: Luks1Header,
  slot: Luks1Slot,
  passphrase: Uint8Array,
): Steps<Uint8Array | undefined> {
  const hash = hashName(header.hash_spec, storage.name);
  const spec = { name: header.cipher_name, mode: header.cipher_mode };
  const slotKey = yield* wait(derive(passphrase, slot.salt, slot.iterations, header.key_bytes, hash));
  const key = yield* openSlot(storage, spec, slotKey, {
    offset: slot.key_material_offset * 512,
    keyBytes: header.key_bytes,
    stripes: slot.stripes,
    hash,
  });
  const digest = yield* wait(derive(key, header.mk_digest_salt, header.mk_digest_iter, 20, hash));
  return timingSafeEqual(digest, header.mk_digest) ? key : undefined;
}

/** The volume key. Throws `luks.wrong-passphrase`, `luks.unsupported`. */
export function* unlockLuks2(
  storage: Storage,
  header: Luks2Header,
  passphrase: Uint8Array,
): Steps<Uint8Array> {
  const image = storage.name;
  const { digest } = header;
  const expected = Buffer.from(digest.digest, 'base64');
  const digestHash = hashName(digest.hash, image);
  checkIterations(digest.iterations, image);
  for (const id of digest.keyslots) {
    const slot = header.keyslots.get(id);
    if (slot === undefined) continue;
    const slotKey = yield* wait(deriveLuks2(slot, passphrase, image));
    const key = yield* openSlot(storage, parseEncryption(slot.area.encryption), slotKey, {
      offset: slot.area.offset,
      keyBytes: slot.key_size,
      stripes: slot.af.stripes,
      hash: hashName(slot.af.hash, image),
    });
    const salt = Buffer.from(digest.salt, 'base64');
    const found = yield* wait(derive(key, salt, digest.iterations, expected.length, digestHash));
    if (timingSafeEqual(found, expected)) return key;
  }
  throw wrong(image);
}

/** `aes-xts-plain64` → `aes`, `xts-plain64`. */
export function parseEncryption(encryption: string): CipherSpec {
  const dash = encryption.indexOf('-');
  return dash < 0
    ? { name: encryption, mode: '' }
    : { name: encryption.slice(0, dash), mode: encryption.slice(dash + 1) };
}

/** PBKDF2 (RFC 8018) off this thread: it takes a second by design. */
export function derive(
  secret: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  bytes: number,
  hash: string,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(secret, salt, iterations, bytes, hash, (error, key) => {
      if (error === null) resolve(new Uint8Array(key));
      else reject(error);
    });
  });
}

interface Material {
  /** Bytes. */
  offset: number;
  keyBytes: number;
  stripes: number;
  hash: string;
}

function* openSlot(
  storage: Storage,
  spec: CipherSpec,
  slotKey: Uint8Array,
  material: Material,
): Steps<Uint8Array> {
  const used = material.keyBytes * material.stripes;
  const length = Math.ceil(used / 512) * 512;
  const bytes = yield* readExactly(storage, material.offset, length, 'luks', 'key material');
  sectorCipher(spec, slotKey, 512, storage.name).decrypt(0, bytes);
  return merge(bytes.subarray(0, used), material.keyBytes, material.stripes, material.hash);
}

async function deriveLuks2(slot: Luks2Keyslot, passphrase: Uint8Array, image: string): Promise<Uint8Array> {
  const { kdf } = slot;
  const salt = Buffer.from(kdf.salt, 'base64');
  if (kdf.type === 'pbkdf2') {
    checkIterations(kdf.iterations, image);
    return await derive(passphrase, salt, kdf.iterations, slot.area.key_size, hashName(kdf.hash, image));
  }
  const tooMuch = kdf.memory > MAX_ARGON_MEMORY || kdf.time > MAX_ARGON_TIME || kdf.cpus > MAX_ARGON_LANES;
  if (tooMuch) {
    const asked = `${kdf.type} with ${kdf.memory} KiB, ${kdf.time} passes, ${kdf.cpus} lanes`;
    throw unsupported(image, 'kdf', asked, `at most ${MAX_ARGON_MEMORY} KiB`);
  }
  const argon = kdf.type === 'argon2i' ? argon2i : argon2id;
  return await argon({
    password: passphrase,
    salt,
    iterations: kdf.time,
    parallelism: kdf.cpus,
    memorySize: kdf.memory,
    hashLength: slot.area.key_size,
    outputType: 'binary',
  });
}

function checkIterations(iterations: number, image: string): void {
  if (iterations > MAX_ITERATIONS)
    throw unsupported(image, 'iterations', String(iterations), `at most ${MAX_ITERATIONS}`);
}

function wrong(image: string): PlatterError {
  return new PlatterError(
    'luks.wrong-passphrase',
    `The passphrase opens none of the key slots of "${image}"`,
    {
      image,
      hint: 'Check the passphrase, its keyboard layout included.',
    },
  );
}
