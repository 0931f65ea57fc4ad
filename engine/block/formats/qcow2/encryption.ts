/**
 * LUKS inside qcow2: a LUKS header in clusters of its own, and data clusters that are encrypted sector by sector; what makes each
 * sector different is its place in the file (specification, "Full disk encryption header pointer"; QEMU: crypt_physical_offset).
 * Tables are not encrypted, and compressed clusters neither.
 */
import { wait, type Steps } from '../../../maybe.ts';
import type { FormatDescription, OpenContext } from '../../format.ts';
import { StorageRegion } from '../../storage/region.ts';
import type { SectorCipher } from '../luks/ciphers.ts';
import { sectorCipher } from '../luks/ciphers.ts';
import { EncryptedStorage } from '../luks/encrypted-storage.ts';
import { readLuks1 } from '../luks/header1.ts';
import { describeLuks1 } from '../luks/open.ts';
import { unlockLuks1 } from '../luks/unlock.ts';
import { CRYPT_LUKS } from './constants.ts';
import { badField, truncated } from './errors.ts';
import type { Qcow2State } from './state.ts';

export interface Qcow2Encryption {
  description: FormatDescription;
  /** Undefined while the image is locked: no passphrase was given. */
  cipher: SectorCipher | undefined;
  /** The LUKS header, as a storage of its own. */
  region: StorageRegion;
}

/** Lets `state.dataStorage` show what the guest sees. Throws `luks.*`, `qcow2.bad-field`. */
export function* openEncryption(state: Qcow2State, context: OpenContext): Steps<void> {
  if (state.header.cryptMethod !== CRYPT_LUKS) return;
  const { crypto } = state.extensions;
  if (crypto === undefined)
    throw badField('crypt_method', 32, 'LUKS', 'together with a full disk encryption header extension');
  if (crypto.offset % state.clusterSize !== 0)
    throw badField('full disk encryption header offset', 0, crypto.offset, "a cluster's start");
  const fileSize = yield* wait(state.storage.size());
  if (crypto.offset + crypto.length > fileSize)
    throw truncated('encryption header', crypto.offset, crypto.offset + crypto.length, fileSize);
  const region = new StorageRegion(state.storage, crypto.offset, crypto.length);
  const header = yield* readLuks1(region);
  const given = yield* wait(context.secret?.(state.image));
  let cipher: SectorCipher | undefined;
  if (given !== undefined) {
    const secret = typeof given === 'string' ? new TextEncoder().encode(given) : given;
    const key = yield* unlockLuks1(region, header, secret);
    const spec = { name: header.cipher_name, mode: header.cipher_mode };
    cipher = sectorCipher(spec, key, 512, state.image);
  }
  state.encryption = { description: describeLuks1(header), cipher, region };
  state.dataStorage = new EncryptedStorage(state.dataStorage, cipher);
}
