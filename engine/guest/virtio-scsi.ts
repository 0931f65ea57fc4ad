/**
 * The guest's virtio_scsi driver with the SCSI disk driver above it, as Linux's drivers/scsi/virtio_scsi.c and sd.c: finds the logical
 * units, and makes commands out of requests.
 */
import { PlatterError } from '../errors.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { OPCODE } from '../scsi/opcode.ts';
import { F, featureSet } from '../virtio/features.ts';
import { SCSI_CONFIG } from '../virtio/scsi/config.ts';
import { SCSI_F } from '../virtio/scsi/options.ts';
import { CMD_REQ, CMD_RESP, encodeAddress, EVENT_BYTES, QUEUE, RESPONSE } from '../virtio/scsi/protocol.ts';
import type { BlockRequest } from './block-request.ts';
import type { GuestBus } from './bus.ts';
import type { DriverLimits } from './driver.ts';
import { sdCommand } from './scsi-commands.ts';
import { disposition, SCSI_STATUS, SD_MAX_RETRIES } from './scsi-disposition.ts';
import { ScsiScan, type ScannedUnit } from './scsi-scan.ts';
import {
  VirtqueueDriver,
  type GuestQueue,
  type GuestRing,
  type VirtqueueDriverOptions,
} from './virtqueue-driver.ts';
import type { RegisterAt } from './virtio-transport.ts';

/** What Linux's driver understands. */
const DRIVER_FEATURES = featureSet(
  SCSI_F.hotplug,
  SCSI_F.change,
  F.INDIRECT_DESC,
  F.EVENT_IDX,
  F.RING_RESET,
  F.RING_PACKED,
  F.ACCESS_PLATFORM,
);

/** For each head: the header, the answer with its sense data, the parameter list of UNMAP. */
const SLOT = { header: 0, answer: 64, list: 176, bytes: 256 } as const;
const HEADER_BYTES = CMD_REQ.cdb + 32;
const ANSWER_BYTES = CMD_RESP.sense + 96;
const LIST_BYTES = 24;
/** Indirect tables of so many descriptors are kept for each head; longer chains go into the ring itself. */
const INDIRECT_ENTRIES = 34;
/** `SD_DEF_XFER_BLOCKS` and the block layer's own limit: 1280 KiB, in 512-byte sectors. */
const MAX_SECTORS = 2560;
/** `VIRTIO_SCSI_EVENT_LEN`: buffers that wait for events. */
const EVENT_BUFFERS = 8;
const PAGE = 4096;
/** Peripheral device type (SPC-4, section 6.6.2). */
const CD_ROM = 5;
const NO_SENSE = new Uint8Array(0);

export interface VirtioScsiDriverOptions extends VirtqueueDriverOptions {
  bus: GuestBus;
  /** Lets the device work until nothing is left to do, while the driver probes. */
  settle: () => void;
  /**
   * The disks to use, in this order. Only their targets are scanned, as after `scsi_mod.scan=manual` and lines written to the host's
   * `scan` file; all targets when left out, and then every disk is used.
   */
  disks?: readonly { target: number; lun: number }[];
}

export class VirtioScsiDriver extends VirtqueueDriver {
  readonly name = 'virtio_scsi';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: 1, queues: 1, depth: 1 };
  readonly doneEvent = E.virtscsi_req_done;
  readonly headBytes = SLOT.bytes;
  /** Every logical unit that the scan found. */
  units: readonly ScannedUnit[] = [];
  /** The disks that requests go to, by their number at the driver. */
  disks: readonly ScannedUnit[] = [];
  /** Task management goes through it. */
  control!: GuestQueue;
  /** The device tells of events through it. */
  events!: GuestQueue;
  readonly #options: VirtioScsiDriverOptions;
  /** A page of zeroes for WRITE SAME. */
  #zeroes = 0;
  /** Status, sense key and code of the answer that was looked at last. */
  #status = 0;

  constructor(options: VirtioScsiDriverOptions) {
    super(options);
    this.#options = options;
  }

  /** `virtscsi_probe`, `scsi_scan_host` and `sd_probe`. Throws `guest.no-scsi-disk` when there is no disk. */
  probe(cpus: number): void {
    const { transport, limits } = this;
    this.cpus = cpus;
    this.queues.length = 0;
    transport.find();
    transport.negotiate(DRIVER_FEATURES);
    const queues = Math.min(Math.max(1, transport.config(SCSI_CONFIG.numQueues, 4)), cpus);
    limits.maxSegments = Math.max(1, transport.config(SCSI_CONFIG.segMax, 4));
    limits.maxSectors = Math.min(MAX_SECTORS, Math.max(1, transport.config(SCSI_CONFIG.maxSectors, 4)));
    transport.enableMsix((queue) =>
      queue < QUEUE.request ? 0 : this.cpuOf(Math.min(queue - QUEUE.request, queues - 1), queues),
    );
    this.control = this.setUpQueue(QUEUE.control, 0);
    this.#setUpEvents();
    for (let index = 0; index < queues; index++) {
      this.queues.push(this.setUpQueue(QUEUE.request + index, INDIRECT_ENTRIES));
    }
    limits.queues = queues;
    limits.depth = this.queues[0].ring.addresses.size;
    // A hint that the driver follows (`virtscsi_change_queue_depth`): no device counts.
    limits.depthOfDisk = Math.min(limits.depth, Math.max(1, transport.config(SCSI_CONFIG.cmdPerLun, 4)));
    transport.driverOk();
    this.#zeroes = this.allocator.take(PAGE);
    this.#scan();
    this.#acknowledge();
  }

  /** PREVENT ALLOW MEDIUM REMOVAL; a unit attention that is pending is told first. */
  lockDoors(locked: boolean): void {
    const drives = this.disks.filter(({ type }) => type === CD_ROM);
    if (drives.length === 0) return;
    const cdb = Uint8Array.from([OPCODE.preventAllowMediumRemoval, 0, 0, 0, locked ? 1 : 0, 0]);
    for (const { target, lun } of drives) {
      for (let tries = 0; tries < SD_MAX_RETRIES; tries++)
        if (this.#command(target, lun, cdb, 0, 0)?.status === SCSI_STATUS.good) break;
    }
    this.#acknowledge();
  }

  /** The scan looked for its answers itself: an interrupt line that was raised meanwhile is let go. */
  #acknowledge(): void {
    const { bus } = this.#options;
    const { isr, ack } = this.transport;
    const why = isr.port ? bus.in(isr.address, isr.size) : bus.read(isr.address, isr.size);
    if (ack !== undefined) bus.write(ack.address, ack.size, why);
  }

  /** Section 5.6.5: the event queue is filled with buffers. */
  #setUpEvents(): void {
    this.events = this.setUpQueue(QUEUE.event, 0);
    const { ring } = this.events;
    const buffers = this.allocator.take(EVENT_BUFFERS * EVENT_BYTES);
    for (let i = 0; i < EVENT_BUFFERS && ring.begin(1); i++) {
      ring.add(buffers + i * EVENT_BYTES, EVENT_BYTES, true);
      ring.commit();
    }
  }

  #scan(): void {
    const { disks: wanted } = this.#options;
    const buffer = this.allocator.take(PAGE);
    const scan = new ScsiScan((target, lun, cdb, into) => this.#command(target, lun, cdb, buffer, into));
    const most = this.transport.config(SCSI_CONFIG.maxTarget, 2);
    const targets =
      wanted === undefined
        ? Array.from({ length: most + 1 }, (_, target) => target)
        : new Set(wanted.map(({ target }) => target));
    this.units = [...targets].flatMap((target) => scan.target(target));
    const found = this.units.filter(({ type }) => type === 0 || type === CD_ROM);
    this.disks = wanted === undefined ? found : wanted.map((place) => pick(found, place));
    if (this.disks.length === 0) throw noDisk('');
  }

  /** One command while nothing else goes on: the answer's status and data, or undefined when the transport refused it. */
  #command(
    target: number,
    lun: number,
    cdb: Uint8Array,
    buffer: number,
    into: number,
  ): { status: number; data: Uint8Array } | undefined {
    const { memory } = this;
    const [queue] = this.queues;
    const { ring } = queue;
    ring.setInterrupts(false);
    ring.begin(into > 0 ? 3 : 2);
    const at = queue.headers + ring.nextHead * SLOT.bytes;
    this.#header(at, target, lun, 0, cdb);
    ring.add(at + SLOT.header, HEADER_BYTES, false);
    ring.add(at + SLOT.answer, ANSWER_BYTES, true);
    if (into > 0) ring.add(buffer, into, true);
    ring.commit();
    if (ring.kick()) this.#ring(queue.doorbell, queue.index);
    this.#options.settle();
    if (!ring.take()) throw new PlatterError('guest.no-answer', 'the SCSI host did not answer a command');
    ring.setInterrupts(true);
    const answer = at + SLOT.answer;
    if (memory.readUint(answer + CMD_RESP.response, 1) !== RESPONSE.ok) return undefined;
    const data = new Uint8Array(into);
    if (into > 0) memory.read(buffer, data);
    return { status: memory.readUint(answer + CMD_RESP.status, 1), data };
  }

  #ring({ port, address, size }: RegisterAt, queue: number): void {
    const { bus } = this.#options;
    if (port) bus.out(address, size, queue);
    else bus.write(address, size, queue);
  }

  #header(at: number, target: number, lun: number, tag: number, cdb: Uint8Array): void {
    const { memory } = this;
    const offset = memory.require(at, SLOT.bytes);
    const { bytes, view } = memory;
    bytes.fill(0, offset, offset + SLOT.list);
    bytes.set(encodeAddress(target, lun), offset + CMD_REQ.lun);
    view.setUint32(offset + CMD_REQ.tag, tag, true);
    bytes.set(cdb, offset + CMD_REQ.cdb);
    view.setUint8(offset + SLOT.answer + CMD_RESP.response, RESPONSE.failure);
  }

  // ---- requests ----

  #diskOf({ disk }: BlockRequest): ScannedUnit {
    return this.disks[disk.unit];
  }

  /** The SCSI layer's own event before the driver's. */
  override traceDispatch(_queue: GuestQueue, request: BlockRequest): void {
    const disk = this.#diskOf(request);
    const { target, lun } = disk;
    const [opcode] = sdCommand(disk, request);
    this.trace.emit(E.scsi_dispatch_cmd_start, request.requestId, target, lun, opcode, 0);
  }

  traceSubmit({ index }: GuestQueue, request: BlockRequest): void {
    const { requestId } = request;
    const { target, lun } = this.#diskOf(request);
    this.trace.emit(E.virtscsi_queuecommand, requestId, index, target, lun, requestId);
  }

  override traceDone(_queue: GuestQueue, request: BlockRequest): void {
    const disk = this.#diskOf(request);
    const { target, lun } = disk;
    const [opcode] = sdCommand(disk, request);
    this.trace.emit(E.scsi_dispatch_cmd_done, request.requestId, target, lun, opcode, this.#status);
  }

  buffers({ op, count }: BlockRequest): number {
    if (op === OP.flush) return 2;
    return op === OP.read || op === OP.write ? 2 + count : 3;
  }
  outBuffers({ op, count }: BlockRequest): number {
    if (op === OP.read || op === OP.flush) return 1;
    return op === OP.write ? 1 + count : 2;
  }

  /** Header, data out, answer, data in. */
  fill(ring: GuestRing, request: BlockRequest, at: number): void {
    const disk = this.#diskOf(request);
    const { op } = request;
    this.#header(at, disk.target, disk.lun, request.requestId, sdCommand(disk, request));
    ring.add(at + SLOT.header, HEADER_BYTES, false);
    if (op === OP.write) this.#data(ring, request, false);
    else if (op === OP.discard) this.#list(ring, request, at + SLOT.list);
    else if (op === OP.writeZeroes) ring.add(this.#zeroes, disk.blockSize, false);
    ring.add(at + SLOT.answer, ANSWER_BYTES, true);
    if (op === OP.read) this.#data(ring, request, true);
  }

  #data(ring: GuestRing, request: BlockRequest, writable: boolean): void {
    for (let bio = request.first; bio !== undefined; bio = bio.next) {
      ring.add(bio.address, bio.sectors * 512, writable);
    }
  }

  /** SBC-3 section 5.28: a parameter list with one block descriptor. */
  #list(ring: GuestRing, request: BlockRequest, at: number): void {
    const { sector, sectors } = request;
    const offset = this.memory.require(at, LIST_BYTES);
    const { view, bytes } = this.memory;
    const perBlock = this.#diskOf(request).blockSize / 512;
    bytes.fill(0, offset, offset + LIST_BYTES);
    view.setUint16(offset, LIST_BYTES - 2);
    view.setUint16(offset + 2, LIST_BYTES - 8);
    view.setBigUint64(offset + 8, BigInt(sector / perBlock));
    view.setUint32(offset + 16, sectors / perBlock);
    ring.add(at, LIST_BYTES, false);
  }

  /** Asks for another try where Linux would make one. */
  errorOf(request: BlockRequest, at: number): number {
    const offset = this.memory.require(at + SLOT.answer, ANSWER_BYTES);
    const { bytes } = this.memory;
    this.#status = bytes[offset + CMD_RESP.status];
    const sense =
      this.#status === SCSI_STATUS.good
        ? NO_SENSE
        : bytes.subarray(offset + CMD_RESP.sense, offset + ANSWER_BYTES);
    const { again, error } = disposition(
      bytes[offset + CMD_RESP.response],
      this.#status,
      sense,
      this.#diskOf(request).removable,
    );
    request.again = again && request.retries < SD_MAX_RETRIES;
    if (request.again) request.retries++;
    return request.again ? 0 : error;
  }
}

/** Throws `guest.no-scsi-disk`. */
function pick(found: readonly ScannedUnit[], place: { target: number; lun: number }): ScannedUnit {
  const disk = found.find(({ target, lun }) => target === place.target && lun === place.lun);
  if (disk === undefined) throw noDisk(`${place.target}:${place.lun}`);
  return disk;
}

function noDisk(value: string): PlatterError {
  return new PlatterError('guest.no-scsi-disk', 'the scan of the SCSI bus found no disk', { value });
}
