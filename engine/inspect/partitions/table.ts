/** What a disk's partition table says, whichever kind it is: the common words of `mbr.ts` and `gpt.ts`. Sizes in bytes. */
import type { Partition, PartitionTable } from '../../../contract/partitions.ts';
import { PlatterError, toPlainError, type ErrorContext } from '../../errors.ts';
import { wait, type Steps } from '../../maybe.ts';
import type { BlockNode } from '../../block/node.ts';

/** Problems kept of one table: a damaged one has one for each of its entries. */
const MOST_PROBLEMS = 64;

/** A table while it is read. */
export class TableDraft {
  readonly #node: BlockNode;
  readonly table: PartitionTable;

  constructor(node: BlockNode, table: Pick<PartitionTable, 'label' | 'id' | 'sectorSize'>) {
    this.#node = node;
    this.table = { ...table, partitions: [], problems: [] };
  }

  /** Notes what is wrong; `code` as in the catalogue. The reading goes on. */
  problem(error: PlatterError): void {
    const { problems } = this.table;
    if (problems.length < MOST_PROBLEMS)
      problems.push(toPlainError(error.within({ image: this.#node.name })));
  }

  /** Adds a partition of whole sectors; what does not lie on the disk is noted. */
  add(
    part: Omit<Partition, 'start' | 'length'>,
    firstSector: bigint,
    sectors: bigint,
    at: ErrorContext,
  ): void {
    const size = BigInt(this.table.sectorSize);
    const start = firstSector * size;
    const end = start + sectors * size;
    if (end > BigInt(this.#node.virtualSize))
      this.problem(pastEnd(part.number, end, this.#node.virtualSize, at));
    // Nothing on a disk that Platter opens lies as far out as that.
    if (end > BigInt(Number.MAX_SAFE_INTEGER)) return;
    this.table.partitions.push({ ...part, start: Number(start), length: Number(end - start) });
  }

  /** Notes partitions that share sectors, and puts all in order of their numbers. */
  finish(): PartitionTable {
    const { partitions } = this.table;
    let last: Partition | undefined;
    for (const part of partitions
      .filter((one) => one.extended !== true)
      .toSorted((a, b) => a.start - b.start)) {
      if (last !== undefined && part.start < last.start + last.length) {
        this.problem(
          new PlatterError(
            'partitions.overlap',
            `Partitions ${last.number} and ${part.number} share what begins at byte ${part.start}`,
            { field: String(last.number), value: String(part.number), offset: part.start },
          ),
        );
      }
      if (last === undefined || part.start + part.length > last.start + last.length) last = part;
    }
    partitions.sort((a, b) => a.number - b.number);
    return this.table;
  }
}

function pastEnd(number: number, end: bigint, size: number, at: ErrorContext): PlatterError {
  return new PlatterError(
    'partitions.past-end',
    `Partition ${number} ends at byte ${end}, and the disk at byte ${size}`,
    { ...at, field: String(number), value: String(end), expected: String(size) },
  );
}

/** `length` bytes of the disk at `offset`, or undefined where it has ended before. */
export function* bytesAt(node: BlockNode, offset: number, length: number): Steps<Uint8Array | undefined> {
  if (offset < 0 || offset + length > node.virtualSize) return undefined;
  const bytes = new Uint8Array(length);
  yield* wait(node.read(offset, bytes));
  return bytes;
}

/** A GUID as it is written down: the first three groups are stored with their low byte first (UEFI 2.10, appendix A). */
export function guidText(bytes: Uint8Array): string {
  const hex = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((at) =>
    bytes[at].toString(16).padStart(2, '0'),
  );
  const groups = [hex.slice(0, 4), hex.slice(4, 6), hex.slice(6, 8), hex.slice(8, 10), hex.slice(10)];
  return groups
    .map((group) => group.join(''))
    .join('-')
    .toUpperCase();
}
