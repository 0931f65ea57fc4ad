/** The partitions of a guest's disk, read without trusting a field of the table. */
import type { PartitionTable } from '../../../contract/partitions.ts';
import { run, type Maybe, type Steps } from '../../maybe.ts';
import type { BlockNode } from '../../block/node.ts';
import { gptTable } from './gpt.ts';
import { bootSector, mbrTable } from './mbr.ts';
import { bytesAt } from './table.ts';

/** Logical sectors that disks have. */
const SECTOR_SIZES = [512, 4096] as const;

/**
 * The partition table of a disk, or undefined where there is none. What is wrong with it stands in its `problems`; only what the
 * image itself cannot read is thrown.
 */
export function readPartitions(node: BlockNode): Maybe<PartitionTable | undefined> {
  return run(steps(node));
}

function* steps(node: BlockNode): Steps<PartitionTable | undefined> {
  const first = yield* bytesAt(node, 0, 512);
  if (first === undefined) return undefined;
  const boot = bootSector(first);
  // As Linux does: a GPT counts when the boot sector guards it.
  if (boot?.protective === true) {
    for (const size of SECTOR_SIZES) {
      const table = yield* gptTable(node, size);
      if (table !== undefined) return table;
    }
  }
  return boot === undefined ? undefined : yield* mbrTable(node, boot);
}
