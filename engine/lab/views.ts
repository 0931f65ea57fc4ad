/** Queues and vectors of a virtio device as exact-size copies for one frame of the screen. */
import type { QueueView, VectorView } from '#contract/lab.ts';
import { DESC_ADDR, DESC_FLAGS, DESC_LEN, DESC_NEXT, DESC_SIZE } from '../virtio/queue/layout.ts';
import { AVAIL_IDX, AVAIL_RING, USED_ELEM, USED_IDX, USED_RING } from '../virtio/queue/layout.ts';
import type { GuestQueue, VirtqueueDriver } from '../guest/virtqueue-driver.ts';
import type { VirtioDevice } from '../virtio/device.ts';
import type { VirtioPci } from '../virtio/transport/pci.ts';

/** The descriptor table with its owners. */
function descriptors(view: DataView, at: number, size: number): QueueView['desc'] {
  const desc = {
    addr: new Float64Array(size),
    len: new Uint32Array(size),
    flags: new Uint16Array(size),
    next: new Uint16Array(size),
  };
  for (let i = 0; i < size; i++) {
    const entry = at + i * DESC_SIZE;
    desc.addr[i] =
      view.getUint32(entry + DESC_ADDR, true) + view.getUint32(entry + DESC_ADDR + 4, true) * 0x1_0000_0000;
    desc.len[i] = view.getUint32(entry + DESC_LEN, true);
    desc.flags[i] = view.getUint16(entry + DESC_FLAGS, true);
    desc.next[i] = view.getUint16(entry + DESC_NEXT, true);
  }
  return desc;
}

/** The state of queue `index`, or null when the driver has set up none of that number. */
export function queueView(device: VirtioDevice, driver: VirtqueueDriver, index: number): QueueView | null {
  const queue = driver.queues.find((entry) => entry.index === index);
  const state = device.queues[index];
  if (queue === undefined || state === undefined) return null;
  const { ring } = queue;
  const { size, desc, driver: avail, device: used } = ring.addresses;
  const { memory } = device;
  const { view } = memory;
  if (ring.layout === 'packed') return packedView(device, queue);
  const descAt = memory.require(desc, size * DESC_SIZE);
  const availAt = memory.require(avail, AVAIL_RING + size * 2 + 2);
  const usedAt = memory.require(used, USED_RING + size * USED_ELEM + 2);
  const usedRing = { id: new Uint32Array(size), len: new Uint32Array(size) };
  for (let i = 0; i < size; i++) {
    usedRing.id[i] = view.getUint32(usedAt + USED_RING + i * USED_ELEM, true);
    usedRing.len[i] = view.getUint32(usedAt + USED_RING + i * USED_ELEM + 4, true);
  }
  return {
    index,
    layout: 'split',
    size,
    ready: state.enabled,
    descAddr: desc,
    availAddr: avail,
    usedAddr: used,
    desc: descriptors(view, descAt, size),
    avail: {
      flags: view.getUint16(availAt, true),
      idx: view.getUint16(availAt + AVAIL_IDX, true),
      ring: Uint16Array.from({ length: size }, (_, i) => view.getUint16(availAt + AVAIL_RING + i * 2, true)),
      usedEvent: view.getUint16(availAt + AVAIL_RING + size * 2, true),
    },
    used: {
      flags: view.getUint16(usedAt, true),
      idx: view.getUint16(usedAt + USED_IDX, true),
      ...usedRing,
      availEvent: view.getUint16(usedAt + USED_RING + size * USED_ELEM, true),
    },
    lastAvailIdx: state.ring?.lastAvailIdx ?? 0,
    lastUsedIdx: ring.lastUsedIdx,
    inFlight: state.ring?.inFlight ?? 0,
    requestOf: ring.requestOf.slice(),
    msixVector: state.vector,
  };
}

/** A packed ring: its descriptors in `desc`, with the buffer id in place of `next`. It has neither of the two other rings. */
function packedView(device: VirtioDevice, { index, ring }: GuestQueue): QueueView {
  const state = device.queues[index];
  const { size, desc, driver, device: event } = ring.addresses;
  const { view } = device.memory;
  const at = device.memory.require(desc, size * DESC_SIZE);
  const raw = descriptors(view, at, size);
  const own: { availWrap?: boolean; usedWrap?: boolean; usedIdx?: number } = state.ring ?? {};
  return {
    index,
    layout: 'packed',
    size,
    ready: state.enabled,
    descAddr: desc,
    availAddr: driver,
    usedAddr: event,
    // In a packed descriptor the id comes before the flags.
    desc: { ...raw, flags: raw.next, next: raw.flags },
    avail: { flags: 0, idx: ring.availIdx, ring: new Uint16Array(0), usedEvent: 0 },
    used: {
      flags: 0,
      idx: own.usedIdx ?? 0,
      id: new Uint32Array(0),
      len: new Uint32Array(0),
      availEvent: 0,
    },
    lastAvailIdx: state.ring?.lastAvailIdx ?? 0,
    lastUsedIdx: ring.lastUsedIdx,
    inFlight: state.ring?.inFlight ?? 0,
    requestOf: ring.requestOf.slice(),
    msixVector: state.vector,
    wrap: { avail: own.availWrap !== false, used: own.usedWrap !== false },
  };
}

/** What each MSI-X entry serves and how often it was used; empty without MSI-X. */
export function vectorViews(device: VirtioDevice, transport: VirtioPci): VectorView[] {
  const { msix } = transport;
  if (msix === undefined || !msix.enabled) return [];
  return Array.from({ length: msix.vectors }, (_, vector) => {
    const uses = device.queues
      .filter((queue) => queue.vector === vector)
      .map(({ index }) => `queue ${index}`);
    if (device.configVector === vector) uses.unshift('config');
    return {
      vector,
      use: uses.join(', '),
      address: msix.address(vector),
      data: msix.data(vector),
      masked: msix.masked(vector),
      pending: msix.pending(vector),
      count: msix.counts[vector],
    };
  });
}
