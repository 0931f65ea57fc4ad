/** A packed virtqueue: one ring that both sides write in turn, and the wrap counters that say whose a descriptor is (virtio 1.2, 2.8). */
import type { DetailField, DetailPlace } from '#contract/lab-details.ts';
import type { GuestQueue } from '../../guest/virtqueue-driver.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import {
  DESC_F_INDIRECT,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_LEN,
  DESC_SIZE,
} from '../../virtio/queue/layout.ts';
import {
  DESC_F_AVAIL,
  DESC_F_USED,
  EVENT_FLAGS,
  PACKED_FLAGS,
  PACKED_ID,
  WRAP,
} from '../../virtio/queue/packed-layout.ts';
import type { Chain, ChainDescriptor } from './chain.ts';
import type { DeviceRing } from './queue.ts';
import { field } from './section.ts';

/** Descriptors of the ring that are shown, around where the device looks next. */
const ENTRIES = 24;
const EVENT_TEXTS = ['ENABLE', 'DISABLE', 'DESC'];
const memoryAt = (address: number): DetailPlace => ({ space: 'memory', address });

interface PackedDescriptor extends ChainDescriptor {
  id: number;
}

function read(
  memory: GuestMemory,
  at: number,
  index: number,
  indirect: boolean,
): PackedDescriptor | undefined {
  const offset = memory.locate(at, DESC_SIZE);
  if (offset < 0) return undefined;
  const { view } = memory;
  const flags = view.getUint16(offset + PACKED_FLAGS, true);
  return {
    index,
    at,
    indirect,
    flags,
    next: 0,
    id: view.getUint16(offset + PACKED_ID, true),
    address: view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000,
    length: view.getUint32(offset + DESC_LEN, true),
    writable: (flags & DESC_F_WRITE) !== 0,
  };
}

/**
 * The chain whose last descriptor carries this buffer id, found backwards from there; undefined when the device has written over it
 * already.
 */
export function packedChain(memory: GuestMemory, ring: number, size: number, id: number): Chain | undefined {
  const at = (index: number): PackedDescriptor | undefined =>
    read(memory, ring + index * DESC_SIZE, index, false);
  for (let last = 0; last < size; last++) {
    const end = at(last);
    if (end === undefined || end.id !== id || (end.flags & DESC_F_NEXT) !== 0 || isUsed(end.flags)) continue;
    if (end.length === 0 && end.address === 0) continue;
    const descriptors: ChainDescriptor[] = [end];
    for (let index = last - 1; descriptors.length < size; index--) {
      const before = at((index + size) % size);
      if (before === undefined || (before.flags & DESC_F_NEXT) === 0 || isUsed(before.flags)) break;
      descriptors.unshift(before);
    }
    if ((end.flags & DESC_F_INDIRECT) !== 0) {
      for (let i = 0; i < Math.min(size, Math.floor(end.length / DESC_SIZE)); i++) {
        const entry = read(memory, end.address + i * DESC_SIZE, i, true);
        if (entry !== undefined) descriptors.push(entry);
      }
    }
    return { head: id, at: descriptors[0].at, descriptors, fault: undefined };
  }
  return undefined;
}

/** Both bits alike: the device is done with it (for any wrap counter, a descriptor that was made available has them differ). */
function isUsed(flags: number): boolean {
  return ((flags & DESC_F_AVAIL) !== 0) === ((flags & DESC_F_USED) !== 0);
}

function eventFields(memory: GuestMemory, name: string, meaning: string, address: number): DetailField[] {
  const at = memory.locate(address, 4);
  if (at < 0) return [];
  const position = memory.view.getUint16(at, true);
  const flags = memory.view.getUint16(at + EVENT_FLAGS, true);
  const source = 'virtio 1.2, 2.8.14';
  return [
    field(`${name}.flags`, meaning, flags, 2, {
      place: memoryAt(address + EVENT_FLAGS),
      source,
      text: EVENT_TEXTS[flags] ?? '',
    }),
    field(`${name}.off`, 'packed.event-off', position & ~WRAP, 2, {
      place: memoryAt(address),
      source,
      level: 1,
    }),
    field(`${name}.wrap`, 'packed.event-wrap', position >>> 15, 0, {
      place: memoryAt(address),
      source,
      level: 1,
      as: 'count',
    }),
  ];
}

export function packedFields(
  memory: GuestMemory,
  queue: GuestQueue,
  ring: DeviceRing | undefined,
): DetailField[] {
  const { desc, driver, device, size } = queue.ring.addresses;
  const source = 'virtio 1.2, 2.8.1';
  const own = { place: { space: 'device' }, source } as const;
  const next = ring?.lastAvailIdx ?? 0;
  const rows = [
    field('device: next available', 'packed.next-avail', next, 2, { ...own, as: 'count' }),
    field('device: avail wrap counter', 'packed.avail-wrap', ring?.availWrap === false ? 0 : 1, 0, {
      ...own,
      level: 1,
      as: 'count',
    }),
    field('device: next used', 'packed.next-used', ring?.usedIdx ?? 0, 2, { ...own, as: 'count' }),
    field('device: used wrap counter', 'packed.used-wrap', ring?.usedWrap === false ? 0 : 1, 0, {
      ...own,
      level: 1,
      as: 'count',
    }),
    field('driver: next available', 'packed.driver-avail', queue.ring.availIdx, 2, { ...own, as: 'count' }),
    field('driver: next used', 'packed.driver-used', queue.ring.lastUsedIdx, 2, { ...own, as: 'count' }),
    ...eventFields(memory, 'driver event', 'packed.driver-event', driver),
    ...eventFields(memory, 'device event', 'packed.device-event', device),
  ];
  for (let i = 0; i < Math.min(ENTRIES, size); i++) {
    const index = (next - 8 + i + size) % size;
    const entry = read(memory, desc + index * DESC_SIZE, index, false);
    if (entry === undefined) continue;
    const { address, length, flags, id, at } = entry;
    const avail = (flags & DESC_F_AVAIL) !== 0 ? 1 : 0;
    const used = (flags & DESC_F_USED) !== 0 ? 1 : 0;
    const kinds = [
      (flags & DESC_F_NEXT) !== 0 ? 'NEXT' : '',
      (flags & DESC_F_WRITE) !== 0 ? 'WRITE' : '',
      (flags & DESC_F_INDIRECT) !== 0 ? 'INDIRECT' : '',
    ];
    rows.push(
      field(`desc[${index}]`, 'packed.descriptor', address, 8, {
        level: 1,
        place: memoryAt(at),
        source: 'virtio 1.2, 2.8.13',
        tone: index === next ? 'on' : avail === used ? 'off' : 'plain',
        text: [`id ${id}`, `${length} B`, `A${avail} U${used}`, ...kinds]
          .filter((part) => part !== '')
          .join(' '),
        request: queue.ring.requestOf[id] ?? 0,
      }),
    );
  }
  return rows;
}
