/** What the benches drive: guest memory, the driver's half, a virtio-blk device, a disk in memory. */
import type { BlockNode } from '#engine/block/node.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { createMemory, type GuestMemory } from '#engine/machine/memory.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import { VirtioBlk } from '#engine/virtio/blk/device.ts';
import { F, featureSet, STATUS } from '#engine/virtio/features.ts';
import { driverQueue, type Layout } from '#engine/virtio/queue/rings.ts';
import type { DriverQueue } from '#engine/virtio/queue/queue.ts';

const MIB = 1024 * 1024;
const QUEUE_SIZE = 256;
const DATA = 4096;
const BUFFERS = 4 * MIB;
const HEADERS = 2 * MIB;

export interface RigOptions {
  trace: boolean;
  indirect?: boolean;
  eventIdx?: boolean;
  layout?: Layout;
}

export interface Rig {
  memory: GuestMemory;
  device: VirtioBlk;
  ring: DriverQueue;
}

/** A disk that is one array: reading is one copy. */
function arrayNode(bytes: number): BlockNode {
  const disk = new Uint8Array(bytes);
  const pieces = Array.from({ length: bytes / DATA }, (_, i) => disk.subarray(i * DATA, (i + 1) * DATA));
  return {
    driver: 'memory',
    name: 'memory',
    virtualSize: bytes,
    readOnly: false,
    map: (offset, length) => ({ offset, length, kind: 'data' }),
    read: (offset, target) => target.set(pieces[offset / DATA]),
    write: (offset, source) => disk.set(source, offset),
    writeZeroes: (offset, length) => void disk.fill(0, offset, offset + length),
    discard: (offset, length) => void disk.fill(0, offset, offset + length),
    flush: () => undefined,
    close: () => undefined,
  };
}

export function openRig(options: RigOptions): Rig {
  const memory = createMemory(16 * MIB);
  const trace = new TraceRing({ clock: () => performance.now() * 1e6 });
  trace.enabled = options.trace;
  const indirect = options.indirect ?? false;
  const eventIdx = options.eventIdx ?? false;
  const layout = options.layout ?? 'split';
  const device = new VirtioBlk({
    name: 'bench',
    memory,
    trace,
    node: arrayNode(MIB),
    host: new HostIo(trace),
    properties: { packed: layout === 'packed' },
  });
  const ring = driverQueue(layout, memory, MIB, QUEUE_SIZE, { indirect, eventIdx, indirectEntries: 4 });
  const wanted = featureSet(
    F.VERSION_1,
    ...(indirect ? [F.INDIRECT_DESC] : []),
    ...(eventIdx ? [F.EVENT_IDX] : []),
    ...(layout === 'packed' ? [F.RING_PACKED] : []),
  );
  device.writeFeatures(wanted);
  const [queue] = device.queues;
  Object.assign(queue, {
    desc: ring.addresses.desc,
    driver: ring.addresses.driver,
    device: ring.addresses.device,
  });
  device.enableQueue(queue);
  device.writeStatus(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
  return { memory, device, ring };
}

/** Offers `count` 4 KiB reads, lets the device serve them, takes them back. Throws when one did not succeed. */
export function runBatch({ memory, device, ring }: Rig, count: number): void {
  const { words, bytes } = memory;
  for (let i = 0; i < count; i++) {
    const header = HEADERS + i * 32;
    const word = header >>> 2;
    words[word] = 0;
    words[word + 2] = i * (DATA / 512);
    words[word + 3] = 0;
    bytes[header + 16] = 0xff;
    ring.begin(3);
    ring.add(header, 16, false);
    ring.add(BUFFERS + i * DATA, DATA, true);
    ring.add(header + 16, 1, true);
    ring.commit();
  }
  if (ring.kick()) device.notify(0);
  device.process();
  let taken = 0;
  while (ring.take()) taken++;
  if (taken !== count || bytes[HEADERS + 16] !== 0) throw new Error('the device lost a request');
}
