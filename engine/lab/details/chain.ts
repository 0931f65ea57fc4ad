/** Follows a chain of a split virtqueue through guest memory, indirect tables included, trusting nothing (virtio 1.2, section 2.7.5). */
import type { GuestMemory } from '../../machine/memory.ts';
import {
  DESC_ADDR,
  DESC_F_INDIRECT,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_FLAGS,
  DESC_LEN,
  DESC_NEXT,
  DESC_SIZE,
} from '../../virtio/queue/layout.ts';

export interface ChainBuffer {
  /** Guest physical address and bytes of the buffer. */
  address: number;
  length: number;
  writable: boolean;
}

export interface ChainDescriptor extends ChainBuffer {
  /** Index in its table. */
  index: number;
  flags: number;
  next: number;
  /** Guest physical address of the descriptor itself. */
  at: number;
  /** It stands in an indirect table. */
  indirect: boolean;
}

/** Why a chain ends before it should. */
export type ChainFault = 'loop' | 'next' | 'outside' | 'indirect';

export interface Chain {
  head: number;
  /** Guest physical address of the head's descriptor, whether it can be read or not. */
  at: number;
  descriptors: ChainDescriptor[];
  fault: ChainFault | undefined;
}

function readDescriptor(
  memory: GuestMemory,
  table: number,
  index: number,
  indirect: boolean,
): ChainDescriptor | undefined {
  const at = table + index * DESC_SIZE;
  const offset = memory.locate(at, DESC_SIZE);
  if (offset < 0) return undefined;
  const { view } = memory;
  const flags = view.getUint16(offset + DESC_FLAGS, true);
  return {
    index,
    address:
      view.getUint32(offset + DESC_ADDR, true) + view.getUint32(offset + DESC_ADDR + 4, true) * 0x1_0000_0000,
    length: view.getUint32(offset + DESC_LEN, true),
    flags,
    next: view.getUint16(offset + DESC_NEXT, true),
    writable: (flags & DESC_F_WRITE) !== 0,
    at,
    indirect,
  };
}

/** The chain from `head` on; at most `size` descriptors, indirect ones counted. */
export function followChain(memory: GuestMemory, table: number, size: number, head: number): Chain {
  const descriptors: ChainDescriptor[] = [];
  const walk = (base: number, entries: number, first: number, indirect: boolean): ChainFault | undefined => {
    for (let index = first; ;) {
      if (index >= entries) return 'next';
      if (descriptors.length > size) return 'loop';
      const descriptor = readDescriptor(memory, base, index, indirect);
      if (descriptor === undefined) return 'outside';
      descriptors.push(descriptor);
      if ((descriptor.flags & DESC_F_INDIRECT) !== 0) {
        const { length, address } = descriptor;
        if (indirect || length === 0 || length % DESC_SIZE !== 0) return 'indirect';
        return walk(address, length / DESC_SIZE, 0, true);
      }
      if ((descriptor.flags & DESC_F_NEXT) === 0) return undefined;
      index = descriptor.next;
    }
  };
  const fault = walk(table, size, head, false);
  return { head, at: table + head * DESC_SIZE, descriptors, fault };
}

/** The buffers that the chain describes: its descriptors without those that only point to a table. */
export function chainBuffers({ descriptors }: Chain): ChainBuffer[] {
  return descriptors.filter(({ flags }) => (flags & DESC_F_INDIRECT) === 0);
}
