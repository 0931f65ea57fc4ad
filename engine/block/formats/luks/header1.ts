/** The LUKS1 header ("LUKS1 On-Disk Format Specification" 1.2.3). Big-endian, 592 bytes. */
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkFields } from '../shared/check-fields.ts';
import { layout, raw, text, u16, u32, x32, type Values } from '../shared/layout.ts';
import { readExactly, requireInside } from '../shared/storage-window.ts';

export const MAGIC = Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe);
export const SLOTS = 8;
export const SLOT_ACTIVE = 0x00ac71f3;
export const SLOT_INACTIVE = 0x0000dead;
/** What the specification and QEMU use. */
export const STRIPES = 4000;
/** A minute or two on a slow machine; a hostile header could ask for hours. */
export const MAX_ITERATIONS = 100_000_000;

export const luks1Header = layout('big', {
  magic: raw(6),
  version: u16,
  cipher_name: text(32),
  cipher_mode: text(32),
  hash_spec: text(32),
  payload_offset: u32,
  key_bytes: u32,
  mk_digest: raw(20),
  mk_digest_salt: raw(32),
  mk_digest_iter: u32,
  uuid: text(40),
});
export const luks1Slot = layout('big', {
  active: x32,
  iterations: u32,
  salt: raw(32),
  key_material_offset: u32,
  stripes: u32,
});

export type Luks1Slot = Values<(typeof luks1Slot)['fields']>;
export interface Luks1Header extends Values<(typeof luks1Header)['fields']> {
  slots: Luks1Slot[];
}

/** Throws `luks.bad-field`, `luks.unsupported`, `luks.truncated`. */
export function* readLuks1(storage: Storage): Steps<Luks1Header> {
  const image = storage.name;
  const bytes = yield* readExactly(storage, 0, luks1Header.size + SLOTS * luks1Slot.size, 'luks', 'header');
  const size = yield* wait(storage.size());
  const header = luks1Header.parse(bytes, image);
  const check = checkFields('luks', image, (field) => luks1Header.find(field));
  const { key_bytes: keyBytes, payload_offset: payload } = header;
  check.field('key_bytes', keyBytes, keyBytes >= 8 && keyBytes <= 128 && keyBytes % 8 === 0, '8 to 128');
  check.field('payload_offset', payload, payload >= 2, 'at least 2 sectors');
  requireInside(image, size, 0, payload * 512, 'luks', 'encrypted data');
  check.unsupported(
    'mk_digest_iter',
    header.mk_digest_iter,
    header.mk_digest_iter > MAX_ITERATIONS,
    `at most ${MAX_ITERATIONS}`,
  );
  check.field('mk_digest_iter', header.mk_digest_iter, header.mk_digest_iter > 0, 'at least 1');
  const slots: Luks1Slot[] = [];
  for (let index = 0; index < SLOTS; index++) {
    const at = luks1Header.size + index * luks1Slot.size;
    const slot = luks1Slot.parse(bytes, image, at);
    checkSlot(slot, index, header, image, at);
    slots.push(slot);
  }
  return { ...header, slots };
}

function checkSlot(
  slot: Luks1Slot,
  index: number,
  header: { key_bytes: number; payload_offset: number },
  image: string,
  at: number,
): void {
  const check = checkFields(
    'luks',
    image,
    (field) => at + (luks1Slot.find(field.replace(/^.*\./, '')) ?? NaN),
  );
  const name = (field: string): string => `slot ${index}.${field}`;
  const known = slot.active === SLOT_ACTIVE || slot.active === SLOT_INACTIVE;
  check.field(name('active'), `0x${slot.active.toString(16)}`, known, '0x00ac71f3 or 0x0000dead');
  if (slot.active !== SLOT_ACTIVE) return;
  check.unsupported(name('stripes'), slot.stripes, slot.stripes !== STRIPES, String(STRIPES));
  check.field(name('iterations'), slot.iterations, slot.iterations > 0, 'at least 1');
  check.unsupported(
    name('iterations'),
    slot.iterations,
    slot.iterations > MAX_ITERATIONS,
    `at most ${MAX_ITERATIONS}`,
  );
  const end = slot.key_material_offset + Math.ceil((header.key_bytes * slot.stripes) / 512);
  const inside = slot.key_material_offset >= 2 && end <= header.payload_offset;
  check.field(
    name('key_material_offset'),
    slot.key_material_offset,
    inside,
    'key material between header and data',
  );
}
