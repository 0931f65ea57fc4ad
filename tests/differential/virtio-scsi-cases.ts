/** Commands for the script: every one of the target's list, good and bad, and random ones. */
import { EXTENSIONS } from './virtio-scsi-differences.ts';
import type { ScsiCommandScript } from './virtio-scsi-driver.ts';

export const be32 = (value: number): number[] => [
  (value >>> 24) & 255,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];
const be16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const be64 = (value: bigint): number[] => [
  ...be32(Number(value >> 32n)),
  ...be32(Number(value & 0xffff_ffffn)),
];

/** Bytes that look like nothing else. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 255);
}

/** READ and WRITE of every length; `blocks` of them, `block` bytes each. */
export const rw = {
  read6: (lba: number, blocks: number): number[] => [0x08, lba >> 16, ...be16(lba & 0xffff), blocks & 255, 0],
  write6: (lba: number, blocks: number): number[] => [
    0x0a,
    lba >> 16,
    ...be16(lba & 0xffff),
    blocks & 255,
    0,
  ],
  read10: (lba: number, blocks: number, flags = 0): number[] => [
    0x28,
    flags,
    ...be32(lba),
    0,
    ...be16(blocks),
    0,
  ],
  write10: (lba: number, blocks: number, flags = 0): number[] => [
    0x2a,
    flags,
    ...be32(lba),
    0,
    ...be16(blocks),
    0,
  ],
  read12: (lba: number, blocks: number): number[] => [0xa8, 0, ...be32(lba), ...be32(blocks), 0, 0],
  write12: (lba: number, blocks: number): number[] => [0xaa, 0, ...be32(lba), ...be32(blocks), 0, 0],
  read16: (lba: bigint, blocks: number): number[] => [0x88, 0, ...be64(lba), ...be32(blocks), 0, 0],
  write16: (lba: bigint, blocks: number): number[] => [0x8a, 0, ...be64(lba), ...be32(blocks), 0, 0],
  writeVerify: (code: number, lba: number, blocks: number): number[] => {
    if (code === 0x2e) return [code, 0, ...be32(lba), 0, ...be16(blocks), 0];
    if (code === 0xae) return [code, 0, ...be32(lba), ...be32(blocks), 0, 0];
    return [code, 0, ...be64(BigInt(lba)), ...be32(blocks), 0, 0];
  },
  verify: (code: number, lba: number, blocks: number, flags = 0): number[] => {
    if (code === 0x2f) return [code, flags, ...be32(lba), 0, ...be16(blocks), 0];
    if (code === 0xaf) return [code, flags, ...be32(lba), ...be32(blocks), 0, 0];
    return [code, flags, ...be64(BigInt(lba)), ...be32(blocks), 0, 0];
  },
  writeSame10: (lba: number, blocks: number, flags = 0): number[] => [
    0x41,
    flags,
    ...be32(lba),
    0,
    ...be16(blocks),
    0,
  ],
  writeSame16: (lba: number, blocks: number, flags = 0): number[] => [
    0x93,
    flags,
    ...be64(BigInt(lba)),
    ...be32(blocks),
    0,
    0,
  ],
};

/** A parameter list of UNMAP. */
export function unmapList(...ranges: [number, number][]): Uint8Array {
  return Uint8Array.from([
    ...be16(6 + 16 * ranges.length),
    ...be16(16 * ranges.length),
    ...be32(0),
    ...ranges.flatMap(([lba, blocks]) => [...be64(BigInt(lba)), ...be32(blocks), ...be32(0)]),
  ]);
}
export const unmapCdb = (length: number, flags = 0): number[] => [
  0x42,
  flags,
  0,
  0,
  0,
  0,
  0,
  ...be16(length),
  0,
];

const inquiryCdb = (evpd: number, page: number, length: number): number[] => [
  0x12,
  evpd,
  page,
  ...be16(length),
  0,
];
const modeSense6 = (page: number, control = 0, dbd = 0, length = 255): number[] => [
  0x1a,
  dbd,
  (control << 6) | page,
  0,
  length,
  0,
];
const modeSense10 = (page: number, control = 0, dbd = 0, length = 1024): number[] => [
  0x5a,
  dbd,
  (control << 6) | page,
  0,
  0,
  0,
  0,
  ...be16(length),
  0,
];
const read = (cdb: number[], into: number): ScsiCommandScript => ({ cdb, into });
const none = (...cdb: number[]): ScsiCommandScript => ({ cdb });

/** INQUIRY, its pages, mode pages, capacities, and everything else that answers with a block of data. */
export function inquiries(): ScsiCommandScript[] {
  return [
    ...[5, 36, 96, 255, 300, 1000].map((length) => read(inquiryCdb(0, 0, length), length)),
    ...[0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2, 0x01, 0x84, 0xc0].map((page) =>
      read(inquiryCdb(1, page, 255), 255),
    ),
    read(inquiryCdb(0, 1, 36), 36),
    read(inquiryCdb(2, 0, 36), 36),
    read(inquiryCdb(1, 0x83, 4), 4),
    none(...inquiryCdb(0, 0, 0)),
    read([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8),
    read([0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0], 8),
    read([0x25, 0, 0, 0, 0, 1, 0, 0, 1, 0], 8),
    read([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], 32),
    read([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], 12),
    read([0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 32, 0, 0], 32),
    read([0x9e, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], 32),
    ...[0x3f, 0x01, 0x04, 0x05, 0x08, 0x0a, 0x0e, 0x1c, 0x2a, 0x00, 0x3e].flatMap((page) => [
      read(modeSense6(page), 255),
      read(modeSense6(page, 1, 8), 255),
      read(modeSense10(page), 1024),
      read(modeSense10(page, 2, 8), 1024),
    ]),
    read(modeSense6(0x08, 3), 255),
    read(modeSense6(0x08, 0, 0, 6), 6),
    read([0x03, 0, 0, 0, 18, 0], 18),
    read([0x03, 1, 0, 0, 252, 0], 252),
    read([0xa0, 0, 0, 0, 0, 0, ...be32(256), 0, 0], 256),
    read([0xa0, 0, 2, 0, 0, 0, ...be32(20), 0, 0], 20),
    read([0xa0, 0, 3, 0, 0, 0, ...be32(256), 0, 0], 256),
    read([0xa0, 0, 0, 0, 0, 0, ...be32(8), 0, 0], 8),
    none(0, 0, 0, 0, 0, 0),
  ];
}

/** Commands of a CD-ROM; a disk answers them too, mostly with refusals. */
export function mmc(): ScsiCommandScript[] {
  return [
    ...[0, 1, 2, 5].flatMap((format) =>
      [0, 2].flatMap((msf) =>
        [0, 1, 2, 0xaa].map((track) => read([0x43, msf, format, 0, 0, 0, track, ...be16(64), 0], 64)),
      ),
    ),
    read([0x46, 0, 0, 0, 0, 0, 0, ...be16(64), 0], 64),
    read([0x4a, 1, 0, 0, 0x10, 0, 0, ...be16(16), 0], 16),
    read([0x4a, 1, 0, 0, 0x02, 0, 0, ...be16(16), 0], 16),
    read([0x4a, 0, 0, 0, 0x10, 0, 0, ...be16(16), 0], 16),
    read([0x51, 0, 0, 0, 0, 0, 0, ...be16(34), 0], 34),
    read([0x51, 1, 0, 0, 0, 0, 0, ...be16(34), 0], 34),
    read([0xbd, 0, 0, 0, 0, 0, 0, 0, ...be16(8), 0, 0], 8),
    ...[0, 1, 3, 4, 5, 0xff].map((format) =>
      read([0xad, 0, 0, 0, 0, 0, 0, format, ...be16(2052), 0, 0], 2052),
    ),
  ];
}

/** Tray, lock, reservations of SPC-2, and what else moves no data. */
export function statusCommands(): ScsiCommandScript[] {
  return [
    none(0x1e, 0, 0, 0, 1, 0),
    read(modeSense6(0x2a), 255),
    none(0x1b, 0, 0, 0, 2, 0),
    none(0x1e, 0, 0, 0, 0, 0),
    none(0x1b, 0, 0, 0, 0, 0),
    none(0x1b, 0, 0, 0, 0x12, 0),
    none(0x1b, 0, 0, 0, 2, 0),
    none(0, 0, 0, 0, 0, 0),
    read([0x4a, 1, 0, 0, 0x10, 0, 0, ...be16(16), 0], 16),
    read([0x46, 0, 0, 0, 0, 0, 0, ...be16(64), 0], 64),
    none(0x1b, 0, 0, 0, 3, 0),
    none(0, 0, 0, 0, 0, 0),
    read([0x4a, 1, 0, 0, 0x10, 0, 0, ...be16(16), 0], 16),
    ...[0x16, 0x17].flatMap((code) => [none(code, 0, 0, 0, 0, 0), none(code, 1, 0, 0, 0, 0)]),
    ...[0x56, 0x57].flatMap((code) => [0, 1, 2].map((flags) => none(code, flags, 0, 0, 0, 0, 0, 0, 0, 0))),
    none(0x2b, 0, ...be32(5), 0, 0, 0, 0),
    none(0x2b, 0, ...be32(0x00ff_ffff), 0, 0, 0, 0),
    none(0x35, 0, ...be32(0), 0, 0, 0, 0),
    none(0x04, 0, 0, 0, 0, 0),
  ];
}

/** READ, WRITE, VERIFY, WRITE SAME, UNMAP on a unit of `blocks` blocks of `block` bytes. */
export function blockCommands(block: number, blocks: number): ScsiCommandScript[] {
  const write = (cdb: number[], count: number, seed: number): ScsiCommandScript => ({
    cdb,
    out: pattern(count * block, seed),
  });
  const last = blocks - 1;
  return [
    read(rw.read10(0, 8), 8 * block),
    write(rw.write6(3, 2), 2, 1),
    read(rw.read6(2, 4), 4 * block),
    write(rw.write10(5, 1), 1, 2),
    write(rw.write10(6, 1, 8), 1, 3),
    write(rw.write12(7, 2), 2, 4),
    write(rw.write16(9n, 1), 1, 5),
    ...[0x2e, 0xae, 0x8e].map((code, i) => write(rw.writeVerify(code, 12 + i, 1), 1, 6 + i)),
    read(rw.read10(0, 20, 8), 20 * block),
    read(rw.read12(4, 6), 6 * block),
    read(rw.read16(4n, 6), 6 * block),
    none(...rw.read10(0, 0)),
    none(...rw.read10(blocks, 0)),
    none(...rw.write10(blocks + 1, 0)),
    read(rw.read10(last, 1), block),
    read(rw.read10(last, 2), 2 * block),
    read(rw.read10(blocks, 1), block),
    write(rw.write10(last, 2), 2, 1),
    read(rw.read16(0xffff_ffff_ffff_ffffn, 1), block),
    read(rw.read16(0x8000_0000_0000_0000n, 1), block),
    read(rw.read10(0, 1, 0x20), block),
    read([0x08, 0x20, 0, 0, 1, 0], block),
    write(rw.write10(0, 1, 0x20), 1, 1),
    // Buffers that are too small, of the wrong kind, or both kinds.
    read(rw.read10(0, 2), block),
    write(rw.write10(0, 2), 1, 1),
    none(...rw.read10(0, 1)),
    read(rw.write10(0, 1), block),
    write(rw.read10(0, 1), 1, 1),
    { cdb: rw.read10(0, 1), out: pattern(block, 1), into: block },
    read(rw.read12(0, 0x0100_0000), block),
    ...[0x2f, 0xaf, 0x8f].flatMap((code) => [
      none(...rw.verify(code, 0, 4)),
      { cdb: rw.verify(code, 0, 1, 2), out: pattern(block, 1) },
      { cdb: rw.verify(code, 0, 3, 6), out: pattern(block, 1) },
    ]),
    { cdb: rw.writeSame10(20, 4), out: pattern(block, 9) },
    { cdb: rw.writeSame16(24, 3), out: pattern(block, 10) },
    { cdb: rw.writeSame16(21, 1, 8), out: new Uint8Array(block) },
    { cdb: rw.writeSame10(22, 1, 0), out: new Uint8Array(block) },
    read(rw.read10(18, 10), 10 * block),
    { cdb: rw.writeSame10(0, 0), out: pattern(block, 1) },
    { cdb: rw.writeSame10(last, 2), out: pattern(block, 1) },
    ...[2, 4, 0x10].map((flags) => ({ cdb: rw.writeSame16(0, 1, flags), out: pattern(block, 1) })),
    { cdb: unmapCdb(24), out: unmapList([30, 2]) },
    { cdb: unmapCdb(40), out: unmapList([30, 2], [40, 0]) },
    { cdb: unmapCdb(24), out: unmapList([blocks, 1]) },
    { cdb: unmapCdb(24, 1), out: unmapList([30, 2]) },
    { cdb: unmapCdb(8), out: Uint8Array.of(0, 6, 0, 0, 0, 0, 0, 0) },
    { cdb: unmapCdb(7), out: Uint8Array.of(0, 6, 0, 0, 0, 0, 0) },
    { cdb: unmapCdb(16), out: Uint8Array.of(0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) },
    { cdb: unmapCdb(16), out: Uint8Array.of(0, 6, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) },
    { cdb: unmapCdb(16), out: Uint8Array.of(0, 6, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) },
    none(...unmapCdb(0)),
    read(rw.read10(0, 64), 64 * block),
  ];
}

/** MODE SELECT, good and bad; the caching page is `08 12 …`. */
export function modeSelects(): ScsiCommandScript[] {
  const page = (wce: number, ...rest: number[]): number[] => [
    0x08,
    0x12,
    wce,
    ...rest,
    ...Array<number>(17 - rest.length).fill(0),
  ];
  const six = (list: number[], flags = 0x10): ScsiCommandScript => ({
    cdb: [0x15, flags, 0, 0, list.length, 0],
    out: Uint8Array.from(list),
  });
  const ten = (list: number[], flags = 0x10): ScsiCommandScript => ({
    cdb: [0x55, flags, 0, 0, 0, 0, 0, ...be16(list.length), 0],
    out: Uint8Array.from(list),
  });
  return [
    six([0, 0, 0, 0, ...page(0)]),
    read(modeSense6(0x08), 255),
    ten([0, 0, 0, 0, 0, 0, 0, 0, ...page(4)]),
    read(modeSense10(0x08), 1024),
    six([0, 0, 0, 0, ...page(4, 1)]),
    six([0, 0, 0, 0, ...page(4)], 0x11),
    six([0, 0, 0, 0, ...page(4)], 0),
    six([0, 0, 0]),
    six([0, 0, 0, 8, 0, 0]),
    six([0, 0, 0, 4, 0, 0, 0, 0]),
    six([0, 0, 0, 0, 0x08]),
    six([0, 0, 0, 0, 0x08, 0x12, 0]),
    six([0, 0, 0, 0, 0x48, 0, 0, 0x12, 4, ...Array<number>(17).fill(0)]),
    six([0, 0, 0, 0, 0x48, 1, 0, 0x12, 4, ...Array<number>(17).fill(0)]),
    six([0, 0, 0, 0, 0x3f, 0]),
    six([0, 0, 0, 0, 0x0a, 0x0a, ...Array<number>(10).fill(0)]),
    none(0x15, 0x10, 0, 0, 0, 0),
    read(modeSense6(0x3f), 255),
  ];
}

/** Those that must stay inside the medium, and ask for no protection. */
const VERIFIES: ReadonlySet<number> = new Set([0x2f, 0x8f, 0xaf]);
/** QEMU 7.2 ends itself at a FORMAT UNIT with parameters. */
const DEADLY = 0x04;

/** A random CDB with the buffers that fit it more or less; `bytesOf` says how many it moves and which way. */
export function randomCommand(
  pick: (most: number) => number,
  blocks: number,
  bytesOf: (cdb: Uint8Array) => { bytes: number; toDevice: boolean },
): ScsiCommandScript {
  const known = [
    0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x2b, 0x2e, 0x35, 0x41,
  ];
  const more = [
    0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a, 0x88, 0x8a, 0x8e, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xbd,
  ];
  const all = [...known, ...more];
  const cdb = Uint8Array.from({ length: 16 }, () => (pick(3) === 0 ? pick(256) : 0));
  cdb[0] = pick(6) === 0 ? pick(256) : all[pick(all.length)];
  while (EXTENSIONS.has(cdb[0]) || cdb[0] === DEADLY) cdb[0] = pick(256);
  // GET LBA STATUS is an extension.
  if (cdb[0] === 0x9e) cdb[1] = pick(2) === 0 ? 0x10 : 0x11;
  // WRITE SAME without a data-out buffer: see the list of differences.
  if (cdb[0] === 0x41 || cdb[0] === 0x93) cdb[1] &= 0xfe;
  if (pick(2) === 0) {
    // A range that the unit has, mostly.
    const lba = pick(8) === 0 ? blocks - pick(3) : pick(64);
    const length = pick(4);
    const group = cdb[0] >> 5;
    if (group === 0) cdb.set([cdb[1] & 0xe0, 0, lba & 255, length + 1], 1);
    else if (group === 4) cdb.set([0, 0, 0, 0, ...be32(lba), ...be32(length)], 2);
    else if (group === 5) cdb.set([...be32(lba), ...be32(length)], 2);
    else cdb.set([...be32(lba), 0, ...be16(length)], 2);
  }
  if (VERIFIES.has(cdb[0])) cdb.fill(0, 2).set([cdb[1] & 0x1f], 1);
  const { bytes, toDevice } = bytesOf(cdb);
  const fits = pick(12) !== 0;
  const room = Math.min(65536, fits ? bytes : pick(2048));
  if (room === 0) return { cdb: [...cdb] };
  return toDevice === fits ? { cdb: [...cdb], out: pattern(room, pick(256)) } : { cdb: [...cdb], into: room };
}
