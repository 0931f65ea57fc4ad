/** What the tests of the SCSI host drive: guest memory, the driver's halves of its queues, disks in memory behind it. */
import type { BlockNode } from '../../block/node.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory, type GuestMemory } from '../../machine/memory.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import type { ScsiDiskOptions } from '../../scsi/disk/options.ts';
import { TraceRing } from '../../trace/ring.ts';
import { F, featureSet, STATUS } from '../features.ts';
import type { DriverQueue } from '../queue/queue.ts';
import { driverQueue } from '../queue/rings.ts';
import { arrayNode } from '../testing/rig.ts';
import { VirtioScsi } from './device.ts';
import { SCSI_F, type ScsiProperties } from './options.ts';
import { CMD_REQ, CMD_RESP, encodeAddress, QUEUE, TMF_REQ } from './protocol.ts';

const MIB = 1024 * 1024;
export const SIZE = 16;
/** Guest physical addresses: rings by queue, then buffers up to the end. */
export const RINGS = 0x10_0000;
export const RING_BYTES = 0x4000;
export const BUFFERS = 0x20_0000;
export const END = 4 * MIB;

export interface ScsiRigOptions {
  layout?: 'split' | 'packed';
  indirect?: boolean;
  eventIdx?: boolean;
  node?: BlockNode;
  disk?: Partial<ScsiDiskOptions>;
  properties?: Partial<ScsiProperties>;
}

export interface ScsiAnswered {
  response: number;
  status: number;
  resid: number;
  sense: Uint8Array;
  data: Uint8Array;
  /** `len` of the used element. */
  length: number;
}

/** A command offered to the device. */
interface Offered {
  answerAt: number;
  dataAt: number;
  into: number;
}

export class ScsiRig {
  readonly memory: GuestMemory = createMemory(END);
  readonly trace = new TraceRing({ capacity: 4096 });
  readonly device: VirtioScsi;
  readonly disk: ScsiDisk;
  readonly host: HostIo;
  readonly interrupts = { queue: 0, config: 0 };
  rings: DriverQueue[] = [];
  readonly #options: ScsiRigOptions;
  #next = BUFFERS;

  constructor(options: ScsiRigOptions = {}) {
    this.#options = options;
    const { memory, trace } = this;
    const go = (): void => void this.device.process();
    this.host = new HostIo(trace, { onReady: go });
    this.device = new VirtioScsi({
      name: 'scsi',
      memory,
      trace,
      host: this.host,
      onReady: go,
      properties: { packed: options.layout === 'packed', ...options.properties },
    });
    this.disk = new ScsiDisk({ node: options.node ?? arrayNode(MIB), kind: 'disk', ...options.disk });
    this.device.attach(0, 0, this.disk);
    this.device.transport = {
      queueInterrupt: () => void this.interrupts.queue++,
      configInterrupt: () => void this.interrupts.config++,
      started: () => undefined,
    };
    this.start();
  }

  /** Resets and initialises the device; the unit attention of the reset is taken away. */
  start(): void {
    const { device, memory } = this;
    const { layout = 'split', indirect = false, eventIdx = false } = this.#options;
    device.writeStatus(0);
    const features: number[] = [F.VERSION_1, SCSI_F.hotplug, SCSI_F.change];
    if (indirect) features.push(F.INDIRECT_DESC);
    if (eventIdx) features.push(F.EVENT_IDX);
    if (layout === 'packed') features.push(F.RING_PACKED);
    device.writeFeatures(featureSet(...features));
    this.rings = device.queues.map((queue, index) => {
      const ring = driverQueue(layout, memory, RINGS + index * RING_BYTES, SIZE, {
        indirect,
        eventIdx,
        inOrder: false,
        indirectEntries: SIZE,
      });
      const { desc, driver, device: used } = ring.addresses;
      Object.assign(queue, { size: SIZE, desc, driver, device: used });
      device.enableQueue(queue);
      return ring;
    });
    device.writeStatus(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
    this.disk.takeAttention(device.name);
  }

  /** A place for so many bytes. */
  place(bytes: number): number {
    if (this.#next + bytes > END) this.#next = BUFFERS;
    this.#next += bytes;
    return this.#next - bytes;
  }

  /** Offers a chain: bytes for the device to read, numbers of bytes for it to write. Answers where each lies. */
  offer(queue: number, pieces: readonly (Uint8Array | number)[]): number[] {
    const ring = this.rings[queue];
    if (!ring.begin(pieces.length)) throw new Error('the ring is full');
    const places = pieces.map((piece) => {
      const bytes = typeof piece === 'number' ? new Uint8Array(piece).fill(0xee) : piece;
      const at = this.place(bytes.length);
      this.memory.write(at, bytes);
      ring.add(at, bytes.length, typeof piece === 'number');
      return at;
    });
    ring.commit();
    return places;
  }

  /** Rings the doorbell and lets the device work. */
  go(queue: number = QUEUE.request): void {
    this.device.notify(queue);
    this.device.process();
  }

  static header(cdb: readonly number[], target = 0, lun = 0, tag = 1): Uint8Array {
    const bytes = new Uint8Array(CMD_REQ.cdb + 32);
    bytes.set(encodeAddress(target, lun));
    new DataView(bytes.buffer).setUint32(CMD_REQ.tag, tag, true);
    bytes.set(cdb, CMD_REQ.cdb);
    return bytes;
  }

  offerCommand(
    cdb: readonly number[],
    options: { out?: Uint8Array; into?: number; tag?: number; lun?: number } = {},
  ): Offered {
    const { out, into = 0, tag, lun } = options;
    const pieces: (Uint8Array | number)[] = [ScsiRig.header(cdb, 0, lun, tag)];
    if (out !== undefined) pieces.push(out);
    pieces.push(CMD_RESP.sense + 96);
    if (into > 0) pieces.push(into);
    const places = this.offer(QUEUE.request, pieces);
    return { answerAt: places[out === undefined ? 1 : 2], dataAt: places[places.length - 1], into };
  }

  answer({ answerAt, dataAt, into }: Offered, length = 0): ScsiAnswered {
    const bytes = new Uint8Array(CMD_RESP.sense + 96);
    this.memory.read(answerAt, bytes);
    const view = new DataView(bytes.buffer);
    const data = new Uint8Array(into);
    if (into > 0) this.memory.read(dataAt, data);
    return {
      response: bytes[CMD_RESP.response],
      status: bytes[CMD_RESP.status],
      resid: view.getUint32(CMD_RESP.resid, true),
      sense: bytes.slice(CMD_RESP.sense, CMD_RESP.sense + view.getUint32(CMD_RESP.senseLen, true)),
      data,
      length,
    };
  }

  /** One command from the driver to its answer. Throws when there is none at once. */
  command(
    cdb: readonly number[],
    options: { out?: Uint8Array; into?: number; tag?: number; lun?: number } = {},
  ): ScsiAnswered {
    const offered = this.offerCommand(cdb, options);
    this.go();
    const ring = this.rings[QUEUE.request];
    if (!ring.take()) throw new Error('the device did not answer');
    return this.answer(offered, ring.usedLength);
  }

  /** A task management request; where its answer will be. */
  offerTmf(subtype: number, tag = 0, lun = 0): number {
    const bytes = new Uint8Array(TMF_REQ.bytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(TMF_REQ.subtype, subtype, true);
    bytes.set(encodeAddress(0, lun), TMF_REQ.lun);
    view.setUint32(TMF_REQ.tag, tag, true);
    return this.offer(QUEUE.control, [bytes, 1])[1];
  }
}
