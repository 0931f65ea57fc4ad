/**
 * A virtqueue in guest memory: both rings with the indices of both sides, and every chain that is under way, linked as its descriptors
 * are, indirect tables unfolded (virtio 1.2, sections 2.7 and 2.8).
 */
import type { DetailField, DetailPlace } from '#contract/lab-details.ts';
import type { GuestQueue, VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import {
  AVAIL_IDX,
  AVAIL_RING,
  DESC_SIZE,
  USED_ELEM,
  USED_IDX,
  USED_RING,
} from '../../virtio/queue/layout.ts';
import { chainBuffers, followChain, type Chain, type ChainBuffer } from './chain.ts';
import { packedChain, packedFields } from './packed.ts';
import type { RegisterMap } from './registers.ts';
import { field, type Section } from './section.ts';

/** What the device's half keeps for itself. */
export interface DeviceRing {
  layout?: 'split' | 'packed';
  inFlight: number;
  lastAvailIdx: number;
  usedIdx?: number;
  availWrap?: boolean;
  usedWrap?: boolean;
}

/** Ring entries that are shown: the latest ones. */
const ENTRIES = 16;
/** Chains that are shown: the oldest ones under way. */
const CHAINS = 32;

/** What the buffers of a chain mean, which the device's kind knows. */
export type RequestFields = (
  memory: GuestMemory,
  buffers: readonly ChainBuffer[],
  request: number,
) => DetailField[];

const memoryAt = (address: number): DetailPlace => ({ space: 'memory', address });
const half = (memory: GuestMemory, address: number): number | null => {
  const at = memory.locate(address, 2);
  return at < 0 ? null : memory.view.getUint16(at, true);
};
const word = (memory: GuestMemory, address: number): number | null => {
  const at = memory.locate(address, 4);
  return at < 0 ? null : memory.view.getUint32(at, true);
};

function availFields(memory: GuestMemory, queue: GuestQueue, ring: DeviceRing | undefined): DetailField[] {
  const { driver, size } = queue.ring.addresses;
  const source = 'virtio 1.2, 2.7.6';
  const idx = half(memory, driver + AVAIL_IDX) ?? 0;
  const taken = ring?.lastAvailIdx ?? 0;
  const flags = half(memory, driver);
  const rows = [
    field('avail.flags', 'queue.avail-flags', flags, 2, {
      place: memoryAt(driver),
      source,
      text: flags === 1 ? 'NO_INTERRUPT' : '',
    }),
    field('avail.idx', 'queue.avail-idx', idx, 2, { place: memoryAt(driver + AVAIL_IDX), source }),
    field('last_avail_idx', 'queue.last-avail', taken, 2, {
      place: { space: 'device' },
      source,
      text: idx === taken ? 'nothing to take' : `${(idx - taken) & 0xffff} to take`,
    }),
    field('used_event', 'queue.used-event', half(memory, driver + AVAIL_RING + size * 2), 2, {
      place: memoryAt(driver + AVAIL_RING + size * 2),
      source: 'virtio 1.2, 2.7.7',
    }),
  ];
  for (let back = 1; back <= Math.min(ENTRIES, size, idx); back++) {
    const entry = (idx - back) & (size - 1);
    const at = driver + AVAIL_RING + entry * 2;
    const head = half(memory, at);
    const open = back <= ((idx - taken) & 0xffff);
    rows.push(
      field(`ring[${entry}]`, 'queue.avail-entry', head, 2, {
        level: 1,
        place: memoryAt(at),
        source,
        tone: open ? 'on' : 'off',
        text: open ? 'to be taken' : 'taken',
        request: head === null ? 0 : (queue.ring.requestOf[head] ?? 0),
      }),
    );
  }
  return rows;
}

function usedFields(memory: GuestMemory, queue: GuestQueue): DetailField[] {
  const { device, size } = queue.ring.addresses;
  const source = 'virtio 1.2, 2.7.8';
  const idx = half(memory, device + USED_IDX) ?? 0;
  const seen = queue.ring.lastUsedIdx;
  const flags = half(memory, device);
  const rows = [
    field('used.flags', 'queue.used-flags', flags, 2, {
      place: memoryAt(device),
      source,
      text: flags === 1 ? 'NO_NOTIFY' : '',
    }),
    field('used.idx', 'queue.used-idx', idx, 2, { place: memoryAt(device + USED_IDX), source }),
    field('last_used_idx', 'queue.last-used', seen, 2, {
      place: { space: 'device' },
      source: 'virtio 1.2, 2.7.14',
      text: idx === seen ? 'nothing to take' : `${(idx - seen) & 0xffff} to take`,
    }),
    field('avail_event', 'queue.avail-event', half(memory, device + USED_RING + size * USED_ELEM), 2, {
      place: memoryAt(device + USED_RING + size * USED_ELEM),
      source: 'virtio 1.2, 2.7.10',
    }),
  ];
  for (let back = 1; back <= Math.min(ENTRIES, size, idx); back++) {
    const entry = (idx - back) & (size - 1);
    const at = device + USED_RING + entry * USED_ELEM;
    const open = back <= ((idx - seen) & 0xffff);
    rows.push(
      field(`ring[${entry}].id`, 'queue.used-id', word(memory, at), 4, {
        level: 1,
        place: memoryAt(at),
        source,
        tone: open ? 'on' : 'off',
        text: open ? 'to be taken' : 'taken',
      }),
      field(`ring[${entry}].len`, 'queue.used-len', word(memory, at + 4), 4, {
        level: 2,
        as: 'bytes',
        place: memoryAt(at + 4),
        source,
        tone: open ? 'plain' : 'off',
      }),
    );
  }
  return rows;
}

/** `NEXT|WRITE` and so on. */
function flagText(flags: number): string {
  return [
    (flags & 1) !== 0 ? 'NEXT' : '',
    (flags & 2) !== 0 ? 'WRITE' : '',
    (flags & 4) !== 0 ? 'INDIRECT' : '',
  ]
    .filter((name) => name !== '')
    .join('|');
}

/** One row for each descriptor of a chain, and one for where it breaks off. */
export function chainFields(chain: Chain, request: number, source: string): DetailField[] {
  const rows = [
    field(`head ${chain.head}`, 'queue.chain', chain.head, 2, {
      source,
      request,
      text: `${chain.descriptors.length} descriptors`,
      tone: chain.fault === undefined ? 'plain' : 'bad',
      place: memoryAt(chain.descriptors[0]?.at ?? chain.at),
    }),
  ];
  for (const { index, address, length, flags, at, indirect } of chain.descriptors) {
    const level = indirect ? 2 : 1;
    rows.push(
      field(`${indirect ? 'table' : 'desc'}[${index}]`, 'queue.descriptor', address, 8, {
        level,
        request,
        source,
        place: memoryAt(at),
        text: `${length} B ${flagText(flags)}`.trimEnd(),
      }),
    );
  }
  if (chain.fault !== undefined) {
    rows.push(
      field('!', `queue.fault.${chain.fault}`, null, 0, {
        level: 1,
        source,
        tone: 'bad',
        text: chain.fault,
        place: memoryAt(chain.descriptors.at(-1)?.at ?? chain.at),
      }),
    );
  }
  return rows;
}

/** The heads of chains that are under way, the oldest request first. */
function headsUnderWay({ requests }: GuestQueue): number[] {
  const heads: number[] = [];
  requests.forEach((request, head) => {
    if (request !== undefined) heads.push(head);
  });
  const idOf = (head: number): number => requests[head]?.requestId ?? 0;
  return heads.toSorted((a, b) => idOf(a) - idOf(b));
}

function chainSectionFields(
  memory: GuestMemory,
  queue: GuestQueue,
  packed: boolean,
  requestFields: RequestFields,
): DetailField[] {
  const { desc, size } = queue.ring.addresses;
  const source = packed ? 'virtio 1.2, 2.8.5' : 'virtio 1.2, 2.7.5';
  return headsUnderWay(queue)
    .slice(0, CHAINS)
    .flatMap((head) => {
      const request = queue.requests[head]?.requestId ?? 0;
      const chain = packed ? packedChain(memory, desc, size, head) : followChain(memory, desc, size, head);
      if (chain === undefined) return [];
      return [...chainFields(chain, request, source), ...requestFields(memory, chainBuffers(chain), request)];
    });
}

/** Two sections for each queue that the driver uses. */
export function queueSections(
  device: VirtioDevice,
  driver: VirtqueueDriver,
  requestFields: RequestFields,
  registers: RegisterMap,
): Section[] {
  const { memory } = device;
  return driver.queues.flatMap((queue) => {
    const { index } = queue;
    const { addresses } = queue.ring;
    const text = String(index);
    const ringOf = (): DeviceRing | undefined => device.queues[index]?.ring;
    const isPacked = (): boolean => ringOf()?.layout === 'packed';
    const head = (): DetailField[] => [
      field('queue size', 'queue.size', addresses.size, 2, {
        as: 'count',
        source: 'virtio 1.2, 2.6',
        place: registers.place('queueSize'),
      }),
      field('in flight', 'queue.in-flight', ringOf()?.inFlight ?? 0, 0, {
        as: 'count',
        place: { space: 'device' },
        source: 'virtio 1.2, 2.6',
      }),
      field('descriptor table', 'queue.desc-area', addresses.desc, 8, {
        place: memoryAt(addresses.desc),
        source: 'virtio 1.2, 2.7.5',
        text: `${addresses.size * DESC_SIZE} B`,
      }),
    ];
    return [
      {
        id: `queue.${index}`,
        key: 'queue',
        text,
        fields: () =>
          isPacked()
            ? [...head(), ...packedFields(memory, queue, ringOf())]
            : [...head(), ...availFields(memory, queue, ringOf()), ...usedFields(memory, queue)],
      },
      {
        id: `chains.${index}`,
        key: 'chains',
        text,
        fields: () => chainSectionFields(memory, queue, isPacked(), requestFields),
      },
    ];
  });
}
