/** What the tests of the devices drive: guest memory, the driver's half of a queue, a virtio-blk device over a disk in memory. */
import type { BlockNode } from '../../block/node.ts';
import type { RunState } from '../../machine/run-state.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory, type GuestMemory } from '../../machine/memory.ts';
import { PlatterError } from '../../errors.ts';
import { TraceRing } from '../../trace/ring.ts';
import { VirtioBlk } from '../blk/device.ts';
import type { BlkProperties } from '../blk/options.ts';
import { F, featureSet, STATUS } from '../features.ts';
import { driverQueue, type Layout } from '../queue/rings.ts';
import type { DriverQueue } from '../queue/queue.ts';

const MIB = 1024 * 1024;
/** Guest physical addresses of the rig's parts; the memory has 4 MiB and the PC's hole at 640 KiB. */
export const RIG = { queue: 0x10_0000, buffers: 0x20_0000, end: 4 * MIB, hole: 0xa_0000 } as const;

/** A disk that is one array. `disk` is what it holds. */
export function arrayNode(
  bytes: number,
  readOnly = false,
): BlockNode & { disk: Uint8Array; flushes: number } {
  const disk = new Uint8Array(bytes);
  const node = {
    driver: 'memory',
    name: 'array',
    virtualSize: bytes,
    readOnly,
    disk,
    flushes: 0,
    map: (offset: number, length: number) => ({ offset, length, kind: 'data' as const }),
    read: (offset: number, target: Uint8Array): void => {
      if (offset + target.length > bytes) throw new PlatterError('block.out-of-range', 'past the end');
      target.set(disk.subarray(offset, offset + target.length));
    },
    write: (offset: number, source: Uint8Array): void => disk.set(source, offset),
    writeZeroes: (offset: number, length: number): void => void disk.fill(0, offset, offset + length),
    discard: (offset: number, length: number): void => void disk.fill(0, offset, offset + length),
    flush: (): void => void node.flushes++,
    close: (): void => undefined,
  };
  return node;
}

export interface RigOptions {
  size?: number;
  indirect?: boolean;
  eventIdx?: boolean;
  layout?: Layout;
  inOrder?: boolean;
  node?: BlockNode;
  properties?: Partial<BlkProperties>;
  runState?: RunState;
  /** Features that the driver takes beside those. */
  features?: number[];
}

/** One buffer of a chain: bytes for the device to read, or a number of bytes for it to write. */
export type Buffer = Uint8Array | number;

export interface Answer {
  status: number;
  /** `len` of the used element. */
  length: number;
  /** What the writable buffers hold now. */
  data: Uint8Array;
}

export interface Rig {
  memory: GuestMemory;
  device: VirtioBlk;
  host: HostIo;
  ring: DriverQueue;
  trace: TraceRing;
  interrupts: { queue: number; config: number };
  /** Puts the buffers into memory and offers a chain of them. Answers where each lies. */
  offer(buffers: readonly Buffer[]): number[];
  /** Rings the doorbell and lets the device work. */
  go(): void;
  /** Offers a request, lets the device work, takes the answer. Throws when there is none. */
  request(type: number, sector: number, out: Uint8Array, inBytes: number): Answer;
  /** Resets and initialises the device again; with other features of its own when they are given. */
  restart(features?: readonly number[]): void;
}

/** One segment of a discard, write zeroes or secure erase. */
export function segment(sector: number | bigint, sectors: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return new Uint8Array(view.buffer);
}

/** The 16 bytes at the start of a request. */
export function header(type: number, sector: number | bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
}

export function openRig(options: RigOptions = {}): Rig {
  const { size = 16, indirect = false, eventIdx = false, layout = 'split', inOrder = false } = options;
  const memory = createMemory(4 * MIB);
  const trace = new TraceRing({ capacity: 4096 });
  const node = options.node ?? arrayNode(MIB);
  const host = new HostIo(trace, { onReady: () => rig.device.process() });
  const device = new VirtioBlk({
    name: 'disk',
    memory,
    trace,
    node,
    host,
    properties: { packed: layout === 'packed', inOrder, ...options.properties },
    runState: options.runState,
    unmap: true,
  });
  const interrupts = { queue: 0, config: 0 };
  device.transport = {
    queueInterrupt: () => void interrupts.queue++,
    configInterrupt: () => void interrupts.config++,
    started: () => undefined,
  };
  let next: number = RIG.buffers;
  const place = (bytes: number): number => {
    if (next + bytes > RIG.end) next = RIG.buffers;
    next += bytes;
    return next - bytes;
  };
  const start = (own: readonly number[] = options.features ?? []): DriverQueue => {
    const ring = driverQueue(layout, memory, RIG.queue, size, {
      indirect,
      eventIdx,
      inOrder,
      indirectEntries: size,
    });
    device.writeStatus(0);
    const features = [F.VERSION_1, F.BLK_CONFIG_WCE, F.BLK_FLUSH, ...own];
    if (indirect) features.push(F.INDIRECT_DESC);
    if (eventIdx) features.push(F.EVENT_IDX);
    if (layout === 'packed') features.push(F.RING_PACKED);
    if (inOrder) features.push(F.IN_ORDER);
    device.writeFeatures(featureSet(...features));
    const [queue] = device.queues;
    queue.size = size;
    const { desc, driver, device: used } = ring.addresses;
    Object.assign(queue, { desc, driver, device: used });
    device.enableQueue(queue);
    device.writeStatus(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
    return ring;
  };
  const rig: Rig = {
    memory,
    device,
    host,
    trace,
    interrupts,
    ring: start(),
    restart: (features) => void (rig.ring = start(features)),
    offer: (buffers) => {
      if (!rig.ring.begin(buffers.length)) throw new Error('the ring is full');
      const places = buffers.map((buffer) => {
        const bytes = typeof buffer === 'number' ? buffer : buffer.length;
        const at = place(bytes);
        if (typeof buffer === 'number') memory.write(at, new Uint8Array(bytes).fill(0xee));
        else memory.write(at, buffer);
        rig.ring.add(at, bytes, typeof buffer === 'number');
        return at;
      });
      rig.ring.commit();
      return places;
    },
    go: () => {
      device.notify(0);
      device.process();
    },
    request: (type, sector, out, inBytes) => {
      const buffers: Buffer[] = [header(type, sector)];
      if (out.length > 0) buffers.push(out);
      if (inBytes > 0) buffers.push(inBytes);
      buffers.push(1);
      const places = rig.offer(buffers);
      rig.go();
      if (!rig.ring.take()) throw new Error('the device did not answer');
      const data = new Uint8Array(inBytes);
      if (inBytes > 0) memory.read(places[places.length - 2], data);
      return { status: memory.readUint(places[places.length - 1], 1), length: rig.ring.usedLength, data };
    },
  };
  return rig;
}
