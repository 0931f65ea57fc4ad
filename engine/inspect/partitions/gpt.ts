/**
 * The GUID partition table (UEFI 2.10, 5.3): a header in the second sector, a copy of it in the last one, and a table of entries
 * for each. What a header claims is held against the disk and its own checksums before anything of that size is read.
 */
import { crc32 } from '../../bytes/checksum.ts';
import { StructReader } from '../../bytes/reader.ts';
import { PlatterError } from '../../errors.ts';
import type { Steps } from '../../maybe.ts';
import type { BlockNode } from '../../block/node.ts';
import type { PartitionTable } from '../../../contract/partitions.ts';
import { bytesAt, guidText, TableDraft } from './table.ts';

const SIGNATURE = 'EFI PART';
const HEADER = 92;
const LEAST_ENTRY = 128;
const MOST_ENTRY = 4096;
/** Bytes of a table of entries: 128 of them take 16 KiB, and no tool makes more than 64 times as much. */
const MOST_TABLE = 1 << 20;
const NAME_AT = 56;
const NAME_BYTES = 72;
/** Attribute 2: the partition of a legacy BIOS to boot from. */
const LEGACY_BOOT = 4n;

interface GptHeader {
  id: string;
  /** Sector of the entries. */
  entries: bigint;
  count: number;
  entrySize: number;
  entriesCrc: number;
  firstUsable: bigint;
  lastUsable: bigint;
  /** Sector where the other header lies. */
  alternate: bigint;
}

/**
 * The table, from the copy at the disk's end where the first is damaged; undefined where neither sector size shows a header.
 * @param sectorSize bytes of a logical sector, 512 or 4096
 */
export function* gptTable(node: BlockNode, sectorSize: number): Steps<PartitionTable | undefined> {
  const last = Math.floor(node.virtualSize / sectorSize) - 1;
  const first = yield* copyAt(node, sectorSize, 1);
  if (first === undefined) return undefined;
  const backup = yield* copyAt(node, sectorSize, last);
  if (first.header !== undefined && first.entries !== undefined) {
    const problems = [...first.problems];
    if (first.header.alternate !== BigInt(last)) problems.push(misplaced(first.header.alternate, last));
    else if (backup === undefined) problems.push(damagedBackup(last * sectorSize));
    else if (backup.problems.length > 0) problems.push(...backup.problems);
    return partitionsOf(node, sectorSize, first.header, first.entries, problems);
  }
  if (backup?.header === undefined || backup.entries === undefined) {
    const draft = new TableDraft(node, { label: 'gpt', id: first.header?.id ?? '', sectorSize });
    for (const problem of [...first.problems, ...(backup?.problems ?? [damagedBackup(last * sectorSize)])])
      draft.problem(problem);
    return draft.finish();
  }
  return partitionsOf(node, sectorSize, backup.header, backup.entries, [
    ...first.problems,
    new PlatterError(
      'partitions.backup-used',
      'The first table is damaged; this is the copy at the end of the disk',
      {
        offset: last * sectorSize,
      },
    ),
  ]);
}

interface GptCopy {
  /** Set when its checksum is right. */
  header?: GptHeader;
  /** The entries, when their checksum is right. */
  entries?: Uint8Array;
  problems: PlatterError[];
}

/** One of the two copies; undefined when there is no header at all. */
function* copyAt(node: BlockNode, sectorSize: number, sector: number): Steps<GptCopy | undefined> {
  const at = sector * sectorSize;
  const bytes = yield* bytesAt(node, at, sectorSize);
  if (bytes === undefined) return undefined;
  const reader = new StructReader(bytes, { structure: 'GPT header', base: at, littleEndian: true });
  if (reader.cString(0, 8, 'Signature') !== SIGNATURE) return undefined;
  const size = reader.u32(12, 'HeaderSize');
  if (size < HEADER || size > sectorSize)
    return { problems: [badField('HeaderSize', at + 12, String(size), `${HEADER} to ${sectorSize}`)] };
  const covered = bytes.slice(0, size);
  covered.fill(0, 16, 20);
  if (crc32(covered) !== reader.u32(16, 'HeaderCRC32'))
    return { problems: [badChecksum('HeaderCRC32', at + 16)] };
  if (reader.u64raw(24, 'MyLBA') !== BigInt(sector))
    return { problems: [badField('MyLBA', at + 24, String(reader.u64raw(24, 'MyLBA')), String(sector))] };
  const header: GptHeader = {
    id: guidText(reader.bytes(56, 16, 'DiskGUID')),
    entries: reader.u64raw(72, 'PartitionEntryLBA'),
    count: reader.u32(80, 'NumberOfPartitionEntries'),
    entrySize: reader.u32(84, 'SizeOfPartitionEntry'),
    entriesCrc: reader.u32(88, 'PartitionEntryArrayCRC32'),
    firstUsable: reader.u64raw(40, 'FirstUsableLBA'),
    lastUsable: reader.u64raw(48, 'LastUsableLBA'),
    alternate: reader.u64raw(32, 'AlternateLBA'),
  };
  const { count, entrySize } = header;
  if (entrySize < LEAST_ENTRY || entrySize > MOST_ENTRY || (entrySize & (entrySize - 1)) !== 0)
    return {
      header,
      problems: [badField('SizeOfPartitionEntry', at + 84, String(entrySize), '128, 256, … 4096')],
    };
  const most = Math.floor(MOST_TABLE / entrySize);
  if (count > most)
    return {
      header,
      problems: [badField('NumberOfPartitionEntries', at + 80, String(count), `at most ${most}`)],
    };
  const entries =
    header.entries > BigInt(Math.floor(node.virtualSize / sectorSize))
      ? undefined
      : yield* bytesAt(node, Number(header.entries) * sectorSize, count * entrySize);
  if (entries === undefined)
    return {
      header,
      problems: [badField('PartitionEntryLBA', at + 72, String(header.entries), 'a sector of the disk')],
    };
  if (crc32(entries) !== header.entriesCrc)
    return { header, problems: [badChecksum('PartitionEntryArrayCRC32', at + 88)] };
  return { header, entries, problems: [] };
}

function partitionsOf(
  node: BlockNode,
  sectorSize: number,
  header: GptHeader,
  entries: Uint8Array,
  problems: readonly PlatterError[],
): PartitionTable {
  const draft = new TableDraft(node, { label: 'gpt', id: header.id, sectorSize });
  for (const problem of problems) draft.problem(problem);
  const base = Number(header.entries) * sectorSize;
  for (let index = 0; index < header.count; index++) {
    const at = index * header.entrySize;
    const entry = new StructReader(entries.subarray(at, at + header.entrySize), {
      structure: 'GPT entry',
      base: base + at,
      littleEndian: true,
    });
    const type = entry.bytes(0, 16, 'PartitionTypeGUID');
    if (type.every((byte) => byte === 0)) continue;
    const first = entry.u64raw(32, 'StartingLBA');
    const last = entry.u64raw(40, 'EndingLBA');
    if (last < first || first < header.firstUsable || last > header.lastUsable)
      draft.problem(unusable(index + 1, base + at + 32, first, last, header));
    if (last < first) continue;
    const attributes = entry.u64raw(48, 'Attributes');
    draft.add(
      {
        number: index + 1,
        type: guidText(type),
        uuid: guidText(entry.bytes(16, 16, 'UniquePartitionGUID')),
        name: nameOf(entry.bytes(NAME_AT, NAME_BYTES, 'PartitionName')),
        bootable: (attributes & LEGACY_BOOT) !== 0n,
      },
      first,
      last - first + 1n,
      { offset: base + at + 40 },
    );
  }
  return draft.finish();
}

/** UTF-16, up to the first NUL. */
function nameOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-16le').decode(bytes).split('\0', 1)[0];
}

function badField(field: string, offset: number, value: string, expected: string): PlatterError {
  return new PlatterError(
    'partitions.bad-field',
    `${field} of the GPT at byte ${offset} is ${value}, not ${expected}`,
    {
      field,
      offset,
      value,
      expected,
    },
  );
}

function badChecksum(field: string, offset: number): PlatterError {
  return new PlatterError('partitions.bad-checksum', `${field} of the GPT at byte ${offset} does not match`, {
    field,
    offset,
  });
}

function damagedBackup(offset: number): PlatterError {
  return new PlatterError(
    'partitions.no-backup',
    `There is no copy of the GPT in the last sector, at byte ${offset}`,
    {
      offset,
    },
  );
}

function misplaced(alternate: bigint, last: number): PlatterError {
  return new PlatterError(
    'partitions.backup-misplaced',
    `The GPT says that its copy is in sector ${alternate}; the last sector of the disk is ${last}`,
    { value: String(alternate), expected: String(last) },
  );
}

function unusable(
  number: number,
  offset: number,
  first: bigint,
  last: bigint,
  header: GptHeader,
): PlatterError {
  return new PlatterError(
    'partitions.unusable',
    `Partition ${number} has the sectors ${first} to ${last}; ${header.firstUsable} to ${header.lastUsable} are for partitions`,
    {
      field: String(number),
      offset,
      value: `${first}…${last}`,
      expected: `${header.firstUsable}…${header.lastUsable}`,
    },
  );
}
