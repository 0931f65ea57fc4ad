/** A split virtqueue's picture for tests, built step by step as a driver and a device would change it. */
import type { QueueView } from '#contract/lab.ts';
import { DESC } from './chains.ts';

/** A ready, empty queue. */
export function emptyQueue(size: number): QueueView {
  return {
    index: 0,
    layout: 'split',
    size,
    ready: true,
    descAddr: 0x10_0000,
    availAddr: 0x10_1000,
    usedAddr: 0x10_2000,
    desc: {
      addr: new Float64Array(size),
      len: new Uint32Array(size),
      flags: new Uint16Array(size),
      next: new Uint16Array(size),
    },
    avail: { flags: 0, idx: 0, ring: new Uint16Array(size), usedEvent: 0 },
    used: { flags: 0, idx: 0, id: new Uint32Array(size), len: new Uint32Array(size), availEvent: 0 },
    lastAvailIdx: 0,
    lastUsedIdx: 0,
    inFlight: 0,
    requestOf: new Uint32Array(size),
    msixVector: 1,
  };
}

/** The driver offers a chain of these descriptors; the last one is the device's to write. */
export function offer(queue: QueueView, request: number, chain: number[]): void {
  for (const [i, index] of chain.entries()) {
    const last = i === chain.length - 1;
    queue.desc.addr[index] = 0x20_0000 + index * 0x1000;
    queue.desc.len[index] = i === 0 ? 16 : last ? 1 : 4096;
    queue.desc.flags[index] = last ? DESC.write : DESC.next;
    queue.desc.next[index] = last ? 0 : chain[i + 1];
    queue.requestOf[index] = request;
  }
  queue.avail.ring[queue.avail.idx % queue.size] = chain[0];
  queue.avail.idx = (queue.avail.idx + 1) & 0xffff;
}

/** The device takes the next chain. */
export function pop(queue: QueueView): void {
  queue.lastAvailIdx = (queue.lastAvailIdx + 1) & 0xffff;
  queue.inFlight++;
}

/** The device finishes the chain with this head. */
export function push(queue: QueueView, head: number): void {
  queue.used.id[queue.used.idx % queue.size] = head;
  queue.used.len[queue.used.idx % queue.size] = 1;
  queue.used.idx = (queue.used.idx + 1) & 0xffff;
  queue.inFlight--;
}
