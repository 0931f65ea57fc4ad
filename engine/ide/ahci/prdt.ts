/** The physical region descriptor table (AHCI 1.3.1, section 4.2.3.3): where a command's data lie in guest memory. */
import type { GuestMemory } from '../../machine/memory.ts';
import type { ScatterList } from '../scatter.ts';
import { prdsOf, tableOf } from './command-header.ts';
import { TABLE } from './registers.ts';

export interface Prd {
  /** Guest physical address. */
  address: number;
  bytes: number;
}

/** The descriptor at this place of the memory's buffer. */
export function prdAt({ view }: GuestMemory, at: number): Prd {
  return {
    address: view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000,
    bytes: (view.getUint32(at + 12, true) & TABLE.prdSize) + 1,
  };
}

/**
 * Fills `list` with at most `limit` bytes of the command's regions, from byte `offset` of its data on; `reachable` false is a device
 * that may not master the bus. Answers how many bytes the descriptors that it read stand for, -1 when there is no table.
 */
export function gather(
  memory: GuestMemory,
  header: number,
  list: ScatterList,
  limit: number,
  offset: number,
  reachable: boolean,
): number {
  const entries = prdsOf(memory, header);
  const at = memory.locate(tableOf(memory, header) + TABLE.prdt, entries * TABLE.prdBytes);
  list.clear();
  if (entries === 0 || at < 0) return -1;
  let before = 0;
  for (let i = 0; i < entries && list.bytes < limit; i++) {
    const { address, bytes } = prdAt(memory, at + i * TABLE.prdBytes);
    const skip = Math.max(0, offset - before);
    before += bytes;
    if (skip >= bytes) continue;
    list.add(address + skip, Math.min(bytes - skip, limit - list.bytes), reachable);
  }
  return before;
}
