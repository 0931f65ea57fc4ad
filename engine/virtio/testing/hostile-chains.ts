/** Chains that no driver may offer (hostile inputs, devices, lines 1–6), in the words of either layout. */
import type { GuestMemory } from '../../machine/memory.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE } from '../queue/layout.ts';
import { DESC_F_AVAIL } from '../queue/packed-layout.ts';
import type { Layout } from '../queue/rings.ts';

const NEXT = DESC_F_NEXT;
const WRITE = DESC_F_WRITE;
const INDIRECT = DESC_F_INDIRECT;

export interface HostileDescriptor {
  addr: number | bigint;
  len: number;
  flags: number;
  next?: number;
}

/** One descriptor in the layout's own words. */
export function descriptor(layout: Layout, { addr, len, flags, next = 0 }: HostileDescriptor): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(addr), true);
  view.setUint32(8, len, true);
  view.setUint16(12, layout === 'packed' ? 3 : flags, true);
  view.setUint16(14, layout === 'packed' ? flags | DESC_F_AVAIL : next, true);
  return new Uint8Array(view.buffer);
}

export interface HostileRing {
  memory: GuestMemory;
  layout: Layout;
  /** Entries, and where the ring begins: one that nobody has used yet. */
  size: number;
  queue: number;
}

/** Writes the descriptors from `at` on; those at the start of the ring are offered as one chain. */
export function attack(
  { memory, layout, size, queue }: HostileRing,
  table: readonly HostileDescriptor[],
  at = queue,
): void {
  table.forEach((entry, i) => memory.write(at + i * 16, descriptor(layout, entry)));
  if (at !== queue || layout === 'packed') return;
  const avail = queue + size * 16;
  memory.writeUint(avail + 4, 2, 0);
  memory.writeUint(avail + 2, 2, 1);
}

/** What it is, the error's code, the chain, and what stands in the indirect table at `buffers`. */
export type HostileChain = [
  name: string,
  code: string,
  chain: readonly HostileDescriptor[],
  table?: readonly HostileDescriptor[],
];

export interface HostilePlaces {
  size: number;
  /** Guest physical addresses: memory of the driver's own, the start of a hole, the end of memory. */
  buffers: number;
  hole: number;
  end: number;
}

export function hostileChains({ size, buffers, hole, end }: HostilePlaces): readonly HostileChain[] {
  const entries = (count: number, wraps: boolean): HostileDescriptor[] =>
    Array.from({ length: count }, (_, i) => ({
      addr: buffers + i,
      len: 1,
      flags: NEXT,
      next: wraps ? (i + 1) % count : i + 1,
    }));
  const table = (len: number, flags = 0): HostileDescriptor[] => [
    { addr: buffers, len, flags: INDIRECT | flags, next: 1 },
  ];
  return [
    ['line 1: a chain that never ends', 'virtio.desc-loop', entries(size, true)],
    [
      'line 4: an indirect table within one',
      'virtio.indirect-nested',
      table(16),
      [{ addr: buffers, len: 16, flags: INDIRECT }],
    ],
    ['line 4: a table of no entries', 'virtio.indirect-length', table(0)],
    ['line 4: a table of one and a half', 'virtio.indirect-length', table(24)],
    ['line 4: a table with NEXT', 'virtio.indirect-next', table(16, NEXT)],
    ['line 4: a table outside memory', 'virtio.desc-address', [{ addr: end - 16, len: 32, flags: INDIRECT }]],
    [
      'lines 1 and 4: a table with more entries than the queue',
      'virtio.desc-loop',
      table(16 * 4 * size),
      entries(4 * size, false),
    ],
    [
      'line 5: readable after writable',
      'virtio.desc-order',
      [
        { addr: buffers, len: 1, flags: NEXT | WRITE, next: 1 },
        { addr: buffers, len: 1, flags: 0 },
      ],
    ],
    ['line 5: an empty buffer', 'virtio.desc-empty', [{ addr: buffers, len: 0, flags: 0 }]],
    [
      'line 6: an address that wraps 64 bits',
      'virtio.desc-address',
      [{ addr: 0xffff_ffff_ffff_fff8n, len: 16, flags: 0 }],
    ],
    ['line 6: past the end of memory', 'virtio.desc-address', [{ addr: end - 1, len: 2, flags: WRITE }]],
    ['line 6: across the hole', 'virtio.desc-address', [{ addr: hole - 1, len: 2, flags: 0 }]],
    ['line 6: a register', 'virtio.desc-address', [{ addr: 0xfee0_0000, len: 4, flags: WRITE }]],
  ];
}
