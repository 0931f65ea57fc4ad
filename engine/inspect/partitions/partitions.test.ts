import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionTable } from '#contract/partitions.ts';
import { openImage } from '#engine/block/graph.ts';
import { qemuImg, testFolder } from '#engine/block/testing/qemu.ts';
import { readPartitions } from './partitions.ts';

const at = testFolder();
const MIB = 1 << 20;

/** A sparse raw disk with what sfdisk makes of `script`. */
function disk(name: string, size: number, script: string): string {
  const path = at(name);
  const file = openSync(path, 'w');
  ftruncateSync(file, size);
  closeSync(file);
  execFileSync('sfdisk', ['--quiet', path], { input: script, stdio: 'pipe' });
  return path;
}

async function partitionsOf(path: string, format = 'raw'): Promise<PartitionTable | undefined> {
  const { node } = await openImage(path, { format });
  try {
    return await readPartitions(node);
  } finally {
    await node.close();
  }
}

interface SfdiskPartition {
  node: string;
  start: number;
  size: number;
  type: string;
  uuid?: string;
  name?: string;
  bootable?: boolean;
  attrs?: string;
}

/** What sfdisk says of a disk, in the words of the contract. */
function bySfdisk(path: string): Omit<PartitionTable, 'problems'> {
  const { partitiontable: table } = JSON.parse(
    execFileSync('sfdisk', ['--json', path], { encoding: 'utf8', stdio: 'pipe' }),
  ) as {
    partitiontable: { label: 'gpt' | 'dos'; id: string; sectorsize: number; partitions?: SfdiskPartition[] };
  };
  const partitions = (table.partitions ?? []).map((one) => {
    const number = Number(one.node.slice(path.length));
    return {
      number,
      start: one.start * table.sectorsize,
      length: one.size * table.sectorsize,
      type: one.type,
      bootable: one.bootable ?? one.attrs?.includes('LegacyBIOSBootable') ?? false,
      ...(table.label === 'gpt' ? { uuid: one.uuid, name: one.name ?? '' } : {}),
      ...(table.label === 'dos' && number >= 5 ? { logical: true } : {}),
      ...(table.label === 'dos' && ['5', 'f', '85'].includes(one.type) ? { extended: true } : {}),
    };
  });
  return {
    label: table.label,
    id: table.id,
    sectorSize: table.sectorsize,
    partitions: partitions.toSorted((a, b) => a.number - b.number),
  };
}

async function agrees(path: string): Promise<void> {
  expect(await partitionsOf(path)).toEqual({ ...bySfdisk(path), problems: [] });
}

const codes = (table: PartitionTable | undefined): string[] =>
  (table?.problems ?? []).map(({ code }) => code);

/** The same disk with some bytes changed. */
function changed(path: string, name: string, change: (bytes: Buffer) => void): string {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(at(name), bytes);
  return at(name);
}

const GPT =
  'label: gpt\nsize=1MiB,type=uefi,name="boot é 盘",attrs=LegacyBIOSBootable\nsize=2MiB,type=linux\nsize=1MiB,type=swap\n';
const LOGICAL =
  'label: dos\nsize=1MiB,type=83,bootable\nsize=14MiB,type=f\nsize=1MiB,type=7\nsize=1MiB,type=82\nsize=2MiB\nsize=2MiB\nsize=1MiB';

describe('against sfdisk', () => {
  it('GPT', () => agrees(disk('gpt.raw', 8 * MIB, GPT)));
  it('GPT on a disk of 4096-byte sectors', async () => {
    const small = disk('gpt512.raw', 8 * MIB, GPT);
    const { partitions, ...table } = bySfdisk(small);
    const read = await partitionsOf(changed(small, 'gpt4k.raw', toLargeSectors));
    expect(read).toEqual({ ...table, sectorSize: 4096, partitions, problems: [] });
  });

  it('MBR with logical partitions', () => agrees(disk('mbr.raw', 24 * MIB, LOGICAL)));

  it('any layout', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 9 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('gpt', 'dos'), sizes, async (label, parts) => {
        // Of a dos table the fourth is extended and holds what comes behind it.
        const lines = parts.flatMap((size, index) =>
          label === 'dos' && index === 3 ? ['type=5', `size=${size}MiB`] : [`size=${size}MiB`],
        );
        await agrees(disk(`any-${run++}.raw`, 200 * MIB, [`label: ${label}`, ...lines].join('\n')));
      }),
      { numRuns: 8 },
    );
  });

  it('finds it within any format', async () => {
    const raw = disk('inside.raw', 8 * MIB, GPT);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, at('inside.qcow2'));
    expect(await partitionsOf(at('inside.qcow2'), 'qcow2')).toEqual(await partitionsOf(raw));
  });
});

/** No tool makes a GPT of 4096-byte sectors in a plain file: sfdisk's own, with every sector number divided by eight. */
function toLargeSectors(bytes: Buffer): void {
  const entries = Buffer.from(bytes.subarray(1024, 1024 + 128 * 128));
  const header = Buffer.from(bytes.subarray(512, 604));
  bytes.fill(0, 512, 1024 + entries.length);
  bytes.fill(0, bytes.length - 512 - entries.length);
  for (let at = 0; entries[at] !== 0; at += 128) {
    entries.writeBigUInt64LE(entries.readBigUInt64LE(at + 32) / 8n, at + 32);
    entries.writeBigUInt64LE((entries.readBigUInt64LE(at + 40) + 1n) / 8n - 1n, at + 40);
  }
  const last = BigInt(bytes.length / 4096 - 1);
  header.writeUInt32LE(crc32Of(entries), 88);
  header.writeBigUInt64LE(6n, 40);
  header.writeBigUInt64LE(last - 5n, 48);
  for (const [mine, other, table] of [
    [1n, last, 2n],
    [last, 1n, last - 4n],
  ]) {
    header.writeBigUInt64LE(mine, 24);
    header.writeBigUInt64LE(other, 32);
    header.writeBigUInt64LE(table, 72);
    header.writeUInt32LE(0, 16);
    header.writeUInt32LE(crc32Of(header), 16);
    header.copy(bytes, Number(mine) * 4096);
    entries.copy(bytes, Number(table) * 4096);
  }
}

describe('a damaged GPT', () => {
  const whole = disk('whole.raw', 8 * MIB, GPT);
  const sector = 512;

  it('is read from its copy, as sgdisk does', async () => {
    const path = changed(whole, 'headless.raw', (bytes) => bytes.fill(0xff, sector + 56, sector + 72));
    const table = await partitionsOf(path);
    expect(codes(table)).toEqual(['partitions.bad-checksum', 'partitions.backup-used']);
    expect(table?.partitions).toEqual(bySfdisk(whole).partitions);
    const said = spawnSync('sgdisk', ['--print', path], { encoding: 'utf8' });
    expect(said.stdout + said.stderr).toMatch(/invalid main GPT header, but valid backup/);
  });

  it('says that the copy is missing', async () => {
    const path = changed(whole, 'no-copy.raw', (bytes) => bytes.fill(0, bytes.length - sector));
    const table = await partitionsOf(path);
    expect(codes(table)).toEqual(['partitions.no-backup']);
    expect(table?.partitions).toHaveLength(3);
  });

  it('says that the disk has grown since', async () => {
    const path = changed(whole, 'grown.raw', () => undefined);
    const file = openSync(path, 'r+');
    ftruncateSync(file, 9 * MIB);
    closeSync(file);
    expect(codes(await partitionsOf(path))).toEqual(['partitions.backup-misplaced']);
  });

  it('says which partitions a truncated disk has lost', async () => {
    const path = changed(whole, 'cut.raw', () => undefined);
    const file = openSync(path, 'r+');
    ftruncateSync(file, 3 * MIB);
    closeSync(file);
    const table = await partitionsOf(path);
    expect(codes(table)).toEqual([
      'partitions.backup-misplaced',
      'partitions.past-end',
      'partitions.past-end',
    ]);
    expect(table?.problems[1].context).toMatchObject({ image: 'cut.raw', field: '2' });
  });

  /** Both copies with one field changed and their checksums made right: only a bound can refuse them. */
  const forged = (name: string, offset: number, value: number): string =>
    changed(whole, name, (bytes) => {
      for (const header of [sector, bytes.length - sector]) {
        bytes.writeUInt32LE(value, header + offset);
        bytes.writeUInt32LE(0, header + 16);
        bytes.writeUInt32LE(crc32Of(bytes.subarray(header, header + 92)), header + 16);
      }
    });

  it.each([
    ['NumberOfPartitionEntries', 80, 0xffff_ffff],
    ['SizeOfPartitionEntry', 84, 0],
    ['SizeOfPartitionEntry', 84, 0x8000_0000],
    ['SizeOfPartitionEntry', 84, 129],
    ['PartitionEntryLBA', 76, 0x7fff_ffff],
  ])('refuses %s (byte %i) of %i', async (field, offset, value) => {
    const table = await partitionsOf(forged(`forged-${offset}-${value}.raw`, offset, value));
    expect(table?.partitions).toEqual([]);
    expect(table?.problems[0]).toMatchObject({ code: 'partitions.bad-field', context: { field } });
  });
});

/** The bitwise definition of CRC-32, so that the forging does not rest on what is tested. */
function crc32Of(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('a damaged MBR', () => {
  const whole = disk('logical.raw', 24 * MIB, LOGICAL);
  const table = bySfdisk(whole);
  const extended = table.partitions.find((one) => one.extended === true)!;
  /** Byte of the link of the record that belongs to a logical partition: one track lies between them. */
  const link = (number: number): number =>
    table.partitions.find((one) => one.number === number)!.start - MIB + 446 + 16;

  it('does not follow a chain that comes back', async () => {
    const path = changed(whole, 'loop.raw', (bytes) => bytes.writeUInt32LE(0, link(6) + 8));
    const read = await partitionsOf(path);
    expect(codes(read)).toEqual(['partitions.loop']);
    expect(read?.partitions.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('says where the chain breaks off', async () => {
    const path = changed(whole, 'broken.raw', (bytes) => bytes.writeUInt32LE(0xffff_ff00, link(5) + 8));
    const read = await partitionsOf(path);
    expect(codes(read)).toEqual(['partitions.broken-chain']);
    expect(read?.partitions.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
  });

  it('follows a chain of bounded length', async () => {
    const path = changed(whole, 'long.raw', (bytes) => {
      const base = extended.start;
      for (let record = 0; record < 1000; record++) {
        const entry = base + record * 512 + 446;
        bytes[entry + 4] = 0x83;
        bytes.writeUInt32LE(1, entry + 8);
        bytes.writeUInt32LE(1, entry + 12);
        bytes[entry + 16 + 4] = 5;
        bytes.writeUInt32LE(record + 1, entry + 16 + 8);
        bytes.writeUInt32LE(1, entry + 16 + 12);
        bytes.writeUInt16LE(0xaa55, base + record * 512 + 510);
      }
    });
    const read = await partitionsOf(path);
    expect(codes(read)).toContain('partitions.too-many');
    expect(read?.partitions.length).toBeLessThan(300);
  });

  it('tells partitions that overlap', async () => {
    const path = changed(whole, 'overlap.raw', (bytes) => bytes.writeUInt32LE(20_000, 446 + 12));
    expect(codes(await partitionsOf(path))).toContain('partitions.overlap');
  });

  it('takes no boot sector of a file system for a table', async () => {
    const path = at('fat.raw');
    writeFileSync(path, changedSector());
    expect(await partitionsOf(path)).toBeUndefined();
  });

  /** Code where the table would be, and the signature. */
  function changedSector(): Buffer {
    const bytes = Buffer.alloc(64 * 1024);
    bytes.fill(0x6e, 62, 510);
    bytes.writeUInt16LE(0xaa55, 510);
    return bytes;
  }
});

it('has nothing to say of a disk without a table, nor of one smaller than a sector', async () => {
  for (const size of [0, 100, 511, MIB]) {
    writeFileSync(at(`none-${size}.raw`), Buffer.alloc(size));
    expect(await partitionsOf(at(`none-${size}.raw`))).toBeUndefined();
  }
});

it('ends and does not throw, whatever the tables hold', async () => {
  const wholes = [
    disk('f1.raw', 8 * MIB, 'label: gpt\nsize=1MiB\nsize=1MiB'),
    disk('f2.raw', 8 * MIB, 'label: dos\nsize=1MiB\ntype=5\nsize=1MiB\nsize=1MiB'),
  ];
  const originals = wholes.map((path) => readFileSync(path));
  const places = originals.map((bytes) =>
    [...bytes.keys()].filter((offset) => bytes[offset] !== 0 || (offset >= 446 && offset < 604)),
  );
  const files = wholes.map((path) => openSync(path, 'r+'));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 1),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 }),
      async (which, changes) => {
        const spots = changes.map(([place]) => places[which][place % places[which].length]);
        const put = (values: readonly number[]): void =>
          spots.forEach((spot, index) => writeSync(files[which], Uint8Array.of(values[index]), 0, 1, spot));
        put(changes.map(([, value]) => value));
        const table = await partitionsOf(wholes[which]);
        for (const one of table?.partitions ?? []) {
          expect(one.length).toBeGreaterThan(0);
          expect(Number.isSafeInteger(one.start + one.length)).toBe(true);
        }
        put(spots.map((spot) => originals[which][spot]));
      },
    ),
    { numRuns: 400 },
  );
  for (const file of files) closeSync(file);
});
