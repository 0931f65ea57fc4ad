/**
 * The partition table of a PC's boot sector, and the chain of extended boot records behind it (UEFI 2.10, 5.2; as util-linux's
 * libfdisk reads them). A sector is 512 bytes.
 */
import { StructReader } from '../../bytes/reader.ts';
import { PlatterError } from '../../errors.ts';
import type { Steps } from '../../maybe.ts';
import type { BlockNode } from '../../block/node.ts';
import type { PartitionTable } from '../../../contract/partitions.ts';
import { bytesAt, TableDraft } from './table.ts';

const SECTOR = 512;
const TABLE_AT = 446;
const ENTRY = 16;
const SIGNATURE = 0xaa55;
/** Types of an extended partition: CHS, LBA, Linux's own. */
const EXTENDED = new Set([0x05, 0x0f, 0x85]);
const PROTECTIVE = 0xee;
/** Logical partitions that are followed; no system numbers more. */
const MOST_LOGICAL = 256;

interface MbrEntry {
  boot: number;
  type: number;
  /** Relative: to the disk, to the record, or to the extended partition. */
  first: number;
  sectors: number;
  /** Byte offset of the entry on the disk. */
  at: number;
}

/** The boot sector of a disk, when it holds a partition table and not the boot code of a file system. */
export interface BootSector {
  entries: MbrEntry[];
  /** The disk's signature. */
  id: number;
  /** It only guards a GPT. */
  protective: boolean;
}

/** What the first sector says; undefined where there is no table of partitions. */
export function bootSector(bytes: Uint8Array): BootSector | undefined {
  const entries = entriesOf(bytes, 0);
  if (entries === undefined) return undefined;
  // A FAT or NTFS boot sector has the same signature and code where the table would be.
  if (entries.some(({ boot }) => boot !== 0 && boot !== 0x80)) return undefined;
  if (entries.every(({ type, sectors }) => type === 0 || sectors === 0)) return undefined;
  const id = new StructReader(bytes, { structure: 'MBR', littleEndian: true }).u32(440, 'disk signature');
  return { entries, id, protective: entries.some(({ type }) => type === PROTECTIVE) };
}

/** All partitions of an MBR: primary ones are 1 to 4, logical ones from 5 on. */
export function* mbrTable(node: BlockNode, boot: BootSector): Steps<PartitionTable> {
  const id = `0x${boot.id.toString(16).padStart(8, '0')}`;
  const draft = new TableDraft(node, { label: 'dos', id, sectorSize: SECTOR });
  for (const [index, entry] of boot.entries.entries()) {
    if (entry.type === 0 || entry.sectors === 0) continue;
    const extended = EXTENDED.has(entry.type);
    draft.add(described(entry, index + 1, extended), BigInt(entry.first), BigInt(entry.sectors), {
      offset: entry.at,
    });
  }
  const extended = boot.entries.find((entry) => EXTENDED.has(entry.type) && entry.sectors > 0);
  if (extended !== undefined) yield* logical(node, draft, extended);
  return draft.finish();
}

/** Follows the chain of extended boot records. Each may come once: a chain that comes back would never end. */
function* logical(node: BlockNode, draft: TableDraft, extended: MbrEntry): Steps<void> {
  const seen = new Set<number>();
  let record = extended.first;
  for (let number = 5; ;) {
    const at = record * SECTOR;
    if (seen.has(record)) {
      draft.problem(
        new PlatterError(
          'partitions.loop',
          `The chain of logical partitions comes back to a record that was there before, at byte ${at}`,
          {
            offset: at,
            expected: String(MOST_LOGICAL),
          },
        ),
      );
      return;
    }
    seen.add(record);
    if (seen.size > MOST_LOGICAL) {
      draft.problem(
        new PlatterError(
          'partitions.too-many',
          `The chain of logical partitions has more than ${MOST_LOGICAL} records, at byte ${at}`,
          {
            offset: at,
            expected: String(MOST_LOGICAL),
          },
        ),
      );
      return;
    }
    const bytes = yield* bytesAt(node, at, SECTOR);
    const entries = bytes === undefined ? undefined : entriesOf(bytes, at);
    if (entries === undefined) {
      draft.problem(
        new PlatterError(
          'partitions.broken-chain',
          `The chain of logical partitions points to what is no boot record, at byte ${at}`,
          {
            offset: at,
            expected: String(MOST_LOGICAL),
          },
        ),
      );
      return;
    }
    for (const entry of entries.slice(0, 2)) {
      if (entry.type === 0 || entry.sectors === 0 || EXTENDED.has(entry.type)) continue;
      const first = BigInt(record) + BigInt(entry.first);
      draft.add({ ...described(entry, number++, false), logical: true }, first, BigInt(entry.sectors), {
        offset: entry.at,
      });
    }
    const next = entries.slice(0, 2).find((entry) => EXTENDED.has(entry.type) && entry.sectors > 0);
    if (next === undefined) return;
    record = extended.first + next.first;
  }
}

function described(entry: MbrEntry, number: number, extended: boolean) {
  return {
    number,
    type: entry.type.toString(16),
    bootable: entry.boot === 0x80,
    ...(extended ? { extended } : {}),
  };
}

/** The four entries of a boot record at byte `at`; undefined without the signature. */
function entriesOf(bytes: Uint8Array, at: number): MbrEntry[] | undefined {
  const reader = new StructReader(bytes, { structure: 'boot record', base: at, littleEndian: true });
  if (reader.u16(510, 'signature') !== SIGNATURE) return undefined;
  return [0, 1, 2, 3].map((index) => {
    const entry = TABLE_AT + index * ENTRY;
    return {
      boot: reader.u8(entry, 'boot indicator'),
      type: reader.u8(entry + 4, 'OS type'),
      first: reader.u32(entry + 8, 'starting LBA'),
      sectors: reader.u32(entry + 12, 'size in LBA'),
      at: at + entry,
    };
  });
}
