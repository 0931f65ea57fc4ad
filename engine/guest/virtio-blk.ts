/** The guest's virtio-blk driver, as Linux's drivers/block/virtio_blk.c: sets the device up, makes chains out of requests. */
import { PlatterError } from '../errors.ts';
import { OP } from '../trace/format.ts';
import { BLK_CONFIG } from '../virtio/blk/config.ts';
import { BLK_S, BLK_T, HEADER_SIZE } from '../virtio/blk/protocol.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { F, featureSet } from '../virtio/features.ts';
import { SplitDriverQueue, splitQueueBytes } from '../virtio/queue/split-driver.ts';
import type { GuestAllocator } from './allocator.ts';
import type { BlockRequest } from './block-request.ts';
import type { QueueLimits } from './block-layer.ts';
import type { VirtioPciDriver } from './virtio-pci.ts';

/** What Linux's driver understands. */
const DRIVER_FEATURES = featureSet(
  F.BLK_SEG_MAX,
  F.BLK_SIZE_MAX,
  F.BLK_GEOMETRY,
  F.BLK_RO,
  F.BLK_BLK_SIZE,
  F.BLK_FLUSH,
  F.BLK_TOPOLOGY,
  F.BLK_CONFIG_WCE,
  F.BLK_MQ,
  F.BLK_DISCARD,
  F.BLK_WRITE_ZEROES,
  F.INDIRECT_DESC,
  F.EVENT_IDX,
  F.RING_RESET,
);

/** Header and status byte of one chain, in memory that the driver keeps for each head. */
const SLOT_BYTES = 32;
const STATUS_AT = HEADER_SIZE;
/** Indirect tables of so many descriptors are kept for each head; longer chains go into the ring itself. */
const INDIRECT_ENTRIES = 34;
/** `BLK_DEF_MAX_SECTORS` of Linux: 1280 KiB. */
const MAX_SECTORS = 2560;

const TYPE_OF_OP: readonly number[] = [BLK_T.in, BLK_T.out, BLK_T.flush, BLK_T.discard, BLK_T.writeZeroes];

/** The virtio-blk request type of one of `OP`. */
export function typeOf(op: number): number {
  return TYPE_OF_OP[op];
}

export interface GuestQueue {
  readonly ring: SplitDriverQueue;
  /** Guest physical address of the doorbell. */
  readonly doorbell: number;
  /** Guest physical address of the headers. */
  readonly headers: number;
  /** The request of each head. */
  readonly requests: (BlockRequest | undefined)[];
}

export class VirtioBlkDriver {
  readonly transport: VirtioPciDriver;
  readonly queues: GuestQueue[] = [];
  readonly limits: QueueLimits = { maxSectors: MAX_SECTORS, maxSegments: 1 };
  capacity = 0;
  readonly #memory: GuestMemory;
  readonly #allocator: GuestAllocator;

  constructor(transport: VirtioPciDriver, memory: GuestMemory, allocator: GuestAllocator) {
    this.transport = transport;
    this.#memory = memory;
    this.#allocator = allocator;
  }

  /** `virtblk_probe`: negotiation, configuration, `cpus` queues at most, DRIVER_OK. */
  probe(cpus: number): void {
    const { transport } = this;
    transport.find();
    transport.negotiate(DRIVER_FEATURES);
    this.capacity =
      transport.config(BLK_CONFIG.capacity, 4) + transport.config(BLK_CONFIG.capacity + 4, 4) * 2 ** 32;
    if (transport.has(F.BLK_SEG_MAX)) {
      this.limits.maxSegments = Math.max(1, transport.config(BLK_CONFIG.segMax, 4));
    }
    const offered = transport.has(F.BLK_MQ) ? transport.config(BLK_CONFIG.numQueues, 2) : 1;
    transport.enableMsix();
    for (let index = 0; index < Math.min(offered, cpus); index++) this.#addQueue(index);
    transport.driverOk();
  }

  #addQueue(index: number): void {
    const size = this.transport.queueSize(index);
    if (size === 0) {
      throw new PlatterError('guest.no-queue', `the device has no virtqueue ${index}`, {
        value: String(index),
      });
    }
    const options = {
      indirect: this.transport.has(F.INDIRECT_DESC),
      eventIdx: this.transport.has(F.EVENT_IDX),
      indirectEntries: INDIRECT_ENTRIES,
    };
    const base = this.#allocator.take(splitQueueBytes(size, options.indirect ? INDIRECT_ENTRIES : 0));
    const ring = new SplitDriverQueue(this.#memory, base, size, options);
    const headers = this.#allocator.take(size * SLOT_BYTES);
    const doorbell = this.transport.setUpQueue(index, ring.addresses);
    this.queues.push({ ring, doorbell, headers, requests: Array.from({ length: size }, () => undefined) });
  }

  /** Descriptors that the request needs when it goes into the ring itself. */
  #buffers(request: BlockRequest): number {
    return request.op === OP.flush ? 2 : 2 + request.count;
  }

  /** `virtio_queue_rq`, first half: whether there is room. */
  hasRoom(queue: GuestQueue, request: BlockRequest): boolean {
    return queue.ring.begin(this.#buffers(request));
  }

  /** Second half: header, data, status. Answers the head; the device does not know yet. */
  add(queue: GuestQueue, request: BlockRequest): number {
    const { ring } = queue;
    ring.begin(this.#buffers(request), request.requestId);
    const at = queue.headers + ring.nextHead * SLOT_BYTES;
    this.#header(at, request);
    ring.add(at, HEADER_SIZE, false);
    if (request.op !== OP.flush) {
      for (let bio = request.first; bio !== undefined; bio = bio.next) {
        ring.add(bio.address, bio.sectors * 512, request.op === OP.read);
      }
    }
    ring.add(at + STATUS_AT, 1, true);
    const head = ring.commit();
    queue.requests[head] = request;
    return head;
  }

  #header(address: number, request: BlockRequest): void {
    const at = this.#memory.require(address, SLOT_BYTES);
    const { view } = this.#memory;
    const sector = request.op === OP.flush ? 0 : request.sector;
    view.setUint32(at, typeOf(request.op), true);
    view.setUint32(at + 4, 0, true);
    view.setUint32(at + 8, sector >>> 0, true);
    view.setUint32(at + 12, Math.floor(sector / 0x1_0000_0000), true);
    view.setUint8(at + STATUS_AT, 0xff);
  }

  /** The request whose chain `ring.take` just returned, with its error set from the status byte. */
  finished(queue: GuestQueue): BlockRequest {
    const head = queue.ring.usedHead;
    const request = queue.requests[head];
    if (request === undefined) {
      throw new PlatterError(
        'virtio.used-id',
        `the device returned descriptor ${head}, which it does not hold`,
        {
          field: 'id',
          value: String(head),
        },
      );
    }
    queue.requests[head] = undefined;
    const status = this.#memory.readUint(queue.headers + head * SLOT_BYTES + STATUS_AT, 1);
    request.error = status === BLK_S.ok ? 0 : status === BLK_S.unsupp ? EOPNOTSUPP : EIO;
    return request;
  }
}

/** What the guest's program sees: Linux's error numbers. */
const EIO = 5;
const EOPNOTSUPP = 95;
