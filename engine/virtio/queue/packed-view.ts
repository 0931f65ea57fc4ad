/** A packed queue as it lies in guest memory, for the screen: exact-size copies, nothing interpreted twice. */
import type { GuestMemory } from '../../machine/memory.ts';
import { DESC_ADDR, DESC_LEN, DESC_SIZE } from './layout.ts';
import {
  EVENT_BYTES,
  EVENT_FLAGS,
  isAvailable,
  isUsed,
  PACKED_FLAGS,
  PACKED_ID,
  packedBytes,
  WRAP,
} from './packed-layout.ts';
import type { QueueAddresses } from './queue.ts';

/** Section 2.8.14: when one side wants to hear of the other. */
export interface EventView {
  /** `enable`: always, `disable`: never, `desc`: at `offset` with this wrap counter; anything else is reserved. */
  mode: 'enable' | 'disable' | 'desc' | 'reserved';
  offset: number;
  wrap: boolean;
}

export interface PackedView {
  size: number;
  /** Descriptors by place in the ring; `flags` as they are, AVAIL (0x80) and USED (0x8000) among them. */
  addr: Float64Array;
  len: Uint32Array;
  id: Uint16Array;
  flags: Uint16Array;
  driverEvent: EventView;
  deviceEvent: EventView;
}

const MODES = ['enable', 'disable', 'desc', 'reserved'] as const;

/** Throws `machine.no-memory` when a part does not lie in guest memory. */
export function packedView(memory: GuestMemory, at: QueueAddresses): PackedView {
  const { size } = at;
  const { view } = memory;
  const desc = memory.require(at.desc, packedBytes(size));
  const result: PackedView = {
    size,
    addr: new Float64Array(size),
    len: new Uint32Array(size),
    id: new Uint16Array(size),
    flags: new Uint16Array(size),
    driverEvent: eventView(memory, at.driver),
    deviceEvent: eventView(memory, at.device),
  };
  for (let i = 0; i < size; i++) {
    const entry = desc + i * DESC_SIZE;
    const high = view.getUint32(entry + DESC_ADDR + 4, true);
    result.addr[i] = view.getUint32(entry + DESC_ADDR, true) + high * 0x1_0000_0000;
    result.len[i] = view.getUint32(entry + DESC_LEN, true);
    result.id[i] = view.getUint16(entry + PACKED_ID, true);
    result.flags[i] = view.getUint16(entry + PACKED_FLAGS, true);
  }
  return result;
}

function eventView(memory: GuestMemory, address: number): EventView {
  const at = memory.require(address, EVENT_BYTES);
  const place = memory.view.getUint16(at, true);
  const flags = memory.view.getUint16(at + EVENT_FLAGS, true);
  return { mode: MODES[flags & 3], offset: place & ~WRAP, wrap: (place & WRAP) !== 0 };
}

/**
 * Whose the descriptor at a place is, to somebody whose wrap counter is `wrap` there: offered to the device, given back to the driver,
 * or neither (of the round before).
 */
export function ownerOf(flags: number, wrap: boolean): 'available' | 'used' | 'old' {
  if (isAvailable(flags, wrap)) return 'available';
  return isUsed(flags, wrap) ? 'used' : 'old';
}
