/** A command header in guest memory (AHCI 1.3.1, section 4.2.2). `header` is where it lies in the memory's buffer. */
import type { GuestMemory } from '../../machine/memory.ts';
import { HEADER } from './registers.ts';

/** Options and length of the command FIS: the first half of word 0. */
export function optionsOf({ view }: GuestMemory, header: number): number {
  return view.getUint16(header, true);
}

/** How many PRDs the command table has. */
export function prdsOf({ view }: GuestMemory, header: number): number {
  return view.getUint16(header + HEADER.prdtl, true);
}

/** Guest physical address of the command table. */
export function tableOf({ view }: GuestMemory, header: number): number {
  const high = view.getUint32(header + HEADER.table + 4, true);
  return view.getUint32(header + HEADER.table, true) + high * 0x1_0000_0000;
}

/** Bytes that were moved, as the header counts them. */
export function movedOf({ view }: GuestMemory, header: number): number {
  return view.getUint32(header + HEADER.moved, true);
}

/** Adds to the count of bytes that were moved. */
export function addMoved(memory: GuestMemory, header: number, bytes: number): void {
  const at = header + HEADER.moved;
  memory.dirty(at, 4);
  memory.view.setUint32(at, (movedOf(memory, header) + bytes) >>> 0, true);
}
