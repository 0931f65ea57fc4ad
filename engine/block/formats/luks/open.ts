/** Opening a LUKS image: which version it is, what it tells about itself, and its key where a passphrase is given. */
import { wait, type Steps } from '../../../maybe.ts';
import type { FormatDescription, OpenContext } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { readExactly } from '../shared/storage-window.ts';
import { sectorCipher } from './ciphers.ts';
import { LuksDriver, type LuksVolume } from './driver.ts';
import { luks1Header, luks1Slot, MAGIC, readLuks1, SLOT_ACTIVE, type Luks1Header } from './header1.ts';
import { luks2Header, readLuks2, type Luks2Header } from './header2.ts';
import { parseEncryption, unlockLuks1, unlockLuks2 } from './unlock.ts';

export function* openLuks(storage: Storage, context: OpenContext): Steps<LuksDriver> {
  const start = yield* readExactly(storage, 0, 8, 'luks', 'header');
  const version = start[6] * 256 + start[7];
  const check = checkFields('luks', storage.name, (field) => luks1Header.find(field));
  // A first header that was wiped may still have its second copy.
  const magic = Buffer.compare(start.subarray(0, 6), MAGIC) === 0;
  check.field('magic', Buffer.from(start.subarray(0, 6)).toString('hex'), magic, '4c554b53babe');
  check.unsupported('version', version, version !== 1 && version !== 2, '1 or 2');
  const given = yield* wait(context.secret?.(storage.name));
  const secret = typeof given === 'string' ? new TextEncoder().encode(given) : given;
  return version === 1 ? yield* open1(storage, secret, context) : yield* open2(storage, secret);
}

function* open1(storage: Storage, secret: Uint8Array | undefined, context: OpenContext): Steps<LuksDriver> {
  const header = yield* readLuks1(storage);
  const size = yield* wait(storage.size());
  const payload = header.payload_offset * 512;
  const volume: LuksVolume = {
    payload,
    size: Math.floor((size - payload) / 512) * 512,
    sectorSize: 512,
    ivTweak: 0,
    description: describeLuks1(header),
  };
  if (secret === undefined) return new LuksDriver(storage, volume, undefined, context.readOnly);
  const key = yield* unlockLuks1(storage, header, secret);
  const spec = { name: header.cipher_name, mode: header.cipher_mode };
  return new LuksDriver(storage, volume, sectorCipher(spec, key, 512, storage.name), context.readOnly);
}

/** Read only: writing would be safe, but nothing here makes or keeps LUKS2 headers. */
function* open2(storage: Storage, secret: Uint8Array | undefined): Steps<LuksDriver> {
  const header = yield* readLuks2(storage);
  const { segment } = header;
  const size = yield* wait(storage.size());
  const check = checkFields('luks', storage.name);
  const there = size - segment.offset;
  const length =
    segment.size === 'dynamic' ? Math.floor(there / segment.sector_size) * segment.sector_size : segment.size;
  check.field(
    'segment',
    `${length} bytes at ${segment.offset}`,
    length >= 0 && length <= there,
    'a segment within the file',
  );
  const volume: LuksVolume = {
    payload: segment.offset,
    size: length,
    sectorSize: segment.sector_size,
    ivTweak: segment.iv_tweak,
    description: describe2(header),
  };
  if (secret === undefined) return new LuksDriver(storage, volume, undefined, true);
  const key = yield* unlockLuks2(storage, header, secret);
  const cipher = sectorCipher(parseEncryption(segment.encryption), key, segment.sector_size, storage.name);
  return new LuksDriver(storage, volume, cipher, true);
}

/** Under the names of `qemu-img info`. */
export function describeLuks1(header: Luks1Header): FormatDescription {
  const [mode, generator = ''] = header.cipher_mode.split(/-(.*)/s);
  const [ivgen, ivHash] = generator.split(':');
  const bits = (mode === 'xts' ? header.key_bytes / 2 : header.key_bytes) * 8;
  const specific: Record<string, string | number | boolean> = {
    'cipher-alg': `${header.cipher_name}-${bits}`,
    'cipher-mode': mode,
    'ivgen-alg': ivgen,
    'hash-alg': header.hash_spec,
    uuid: header.uuid,
    'payload-offset': header.payload_offset * 512,
    'master-key-iters': header.mk_digest_iter,
  };
  if (ivHash !== undefined) specific['ivgen-hash-alg'] = ivHash;
  const fields = luks1Header.describe(header, 0);
  header.slots.forEach((slot, index) => {
    const name = `slots.${index}.`;
    const active = slot.active === SLOT_ACTIVE;
    specific[`${name}active`] = active;
    specific[`${name}key-offset`] = slot.key_material_offset * 512;
    if (active) {
      specific[`${name}iters`] = slot.iterations;
      specific[`${name}stripes`] = slot.stripes;
    }
    fields.push(...luks1Slot.describe(slot, luks1Header.size + index * luks1Slot.size, name));
  });
  return { header: fields, formatSpecific: specific };
}

function describe2(header: Luks2Header): FormatDescription {
  const specific: Record<string, string | number | boolean> = {
    version: 2,
    uuid: header.uuid,
    encryption: header.segment.encryption,
    'sector-size': header.segment.sector_size,
    'payload-offset': header.segment.offset,
  };
  for (const [id, slot] of header.keyslots) {
    specific[`slots.${id}.kdf`] = slot.kdf.type;
    specific[`slots.${id}.key-offset`] = slot.area.offset;
    specific[`slots.${id}.stripes`] = slot.af.stripes;
  }
  return { header: luks2Header.describe(header, header.hdr_offset), formatSpecific: specific };
}
