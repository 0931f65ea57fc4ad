/**
 * Changing the key slots of a LUKS1 header: another passphrase, or one less (QEMU: qcrypto_block_luks_amend_*). Key material is
 * written before the slot that points to it says so, and destroyed after the slot says that it is empty.
 */
import { randomFillSync } from 'node:crypto';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { hashName } from './ciphers.ts';
import { fillSlot, iterationsFor } from './create.ts';
import {
  luks1Header,
  luks1Slot,
  readLuks1,
  SLOT_ACTIVE,
  SLOT_INACTIVE,
  SLOTS,
  STRIPES,
  type Luks1Header,
} from './header1.ts';
import { keyOfSlot, unlockLuks1 } from './unlock.ts';

export interface AddKey {
  state: 'active';
  /** One that opens the image now. */
  passphrase: Uint8Array;
  newPassphrase: Uint8Array;
  /** The slot; the first that is empty when left out. */
  slot?: number;
  /** Milliseconds that one attempt shall take. Default 2000. */
  iterTime?: number;
  /** Replace a slot that is in use. */
  force?: boolean;
}

export interface RemoveKey {
  state: 'inactive';
  /** The slot to empty … */
  slot?: number;
  /** … or all that this passphrase opens. */
  oldPassphrase?: Uint8Array;
  /** Empty the last one as well: the contents are lost. */
  force?: boolean;
}

/** Throws `luks.wrong-passphrase`, `amend.keyslot`. */
export function* amendKeyslots(storage: Storage, change: AddKey | RemoveKey): Steps<void> {
  const header = yield* readLuks1(storage);
  if (change.slot !== undefined && (change.slot < 0 || change.slot >= SLOTS)) {
    throw refuse(storage, `There is no key slot ${change.slot}`, `0 to ${SLOTS - 1}`);
  }
  if (change.state === 'active') yield* addKey(storage, header, change);
  else yield* removeKeys(storage, header, change);
  yield* wait(storage.flush());
}

function* addKey(storage: Storage, header: Luks1Header, change: AddKey): Steps<void> {
  const slot = change.slot ?? header.slots.findIndex(({ active }) => active !== SLOT_ACTIVE);
  if (slot < 0) throw refuse(storage, `All ${SLOTS} key slots are in use`, 'an empty key slot');
  if (header.slots[slot].active === SLOT_ACTIVE && change.force !== true) {
    throw refuse(storage, `Key slot ${slot} is in use`, 'an empty key slot, or force');
  }
  const key = yield* unlockLuks1(storage, header, change.passphrase);
  const hash = hashName(header.hash_spec, storage.name);
  const iterations = iterationsFor(change.iterTime ?? 2000, hash);
  const cipher = { name: header.cipher_name, mode: header.cipher_mode };
  const given = { passphrase: change.newPassphrase, keyBytes: header.key_bytes, hash, cipher, iterations };
  const { salt, material } = yield* fillSlot(storage.name, given, key);
  const old = header.slots[slot];
  if (old.active === SLOT_ACTIVE) yield* writeSlot(storage, header, slot, { active: SLOT_INACTIVE });
  yield* wait(storage.write(old.key_material_offset * 512, material));
  yield* wait(storage.flush());
  yield* writeSlot(storage, header, slot, { active: SLOT_ACTIVE, iterations, salt, stripes: STRIPES });
}

function* removeKeys(storage: Storage, header: Luks1Header, change: RemoveKey): Steps<void> {
  const used = header.slots
    .map((_, index) => index)
    .filter((index) => header.slots[index].active === SLOT_ACTIVE);
  let doomed: number[];
  if (change.slot !== undefined) doomed = used.filter((index) => index === change.slot);
  else if (change.oldPassphrase === undefined)
    throw refuse(storage, 'Nothing says which key slot shall be emptied', 'keyslot or old-secret');
  else doomed = yield* slotsOf(storage, header, used, change.oldPassphrase);
  if (doomed.length === 0) {
    const which =
      change.slot === undefined
        ? 'No key slot opens with that passphrase'
        : `Key slot ${change.slot} is empty`;
    throw refuse(storage, which, 'a key slot that is in use');
  }
  if (doomed.length === used.length && change.force !== true) {
    throw refuse(storage, 'That would empty the last key slot: the contents would be lost', 'force as well');
  }
  for (const index of doomed) {
    const slot = header.slots[index];
    yield* writeSlot(storage, header, index, {
      active: SLOT_INACTIVE,
      iterations: 0,
      salt: new Uint8Array(32),
    });
    yield* wait(storage.flush());
    const material = randomFillSync(new Uint8Array(alignUp(header.key_bytes * slot.stripes, 512)));
    yield* wait(storage.write(slot.key_material_offset * 512, material));
  }
}

/** Those of `used` that a passphrase opens. */
function* slotsOf(
  storage: Storage,
  header: Luks1Header,
  used: readonly number[],
  passphrase: Uint8Array,
): Steps<number[]> {
  const found: number[] = [];
  for (const index of used) {
    const key = yield* keyOfSlot(storage, header, header.slots[index], passphrase);
    if (key !== undefined) found.push(index);
  }
  return found;
}

function* writeSlot(
  storage: Storage,
  header: Luks1Header,
  index: number,
  change: Partial<Luks1Header['slots'][number]>,
): Steps<void> {
  const slot = { ...header.slots[index], ...change };
  yield* wait(storage.write(luks1Header.size + index * luks1Slot.size, luks1Slot.encode(slot)));
  header.slots[index] = slot;
}

function refuse(storage: Storage, message: string, expected: string): PlatterError {
  return new PlatterError('amend.keyslot', `${message} ("${storage.name}")`, {
    image: storage.name,
    field: 'keyslot',
    value: message,
    expected,
  });
}
