/** The guest's virtio-blk driver, as Linux's drivers/block/virtio_blk.c: sets the device up, makes chains out of requests. */
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { BLK_CONFIG } from '../virtio/blk/config.ts';
import { BLK_S, BLK_T, HEADER_SIZE } from '../virtio/blk/protocol.ts';
import { F, featureSet } from '../virtio/features.ts';
import type { BlockRequest } from './block-request.ts';
import type { DriverLimits } from './driver.ts';
import { VirtqueueDriver, type GuestQueue, type GuestRing } from './virtqueue-driver.ts';

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
  F.RING_PACKED,
);

/** Header and status byte of one chain. */
const SLOT_BYTES = 32;
const STATUS_AT = HEADER_SIZE;
/** Indirect tables of so many descriptors are kept for each head; longer chains go into the ring itself. */
const INDIRECT_ENTRIES = 34;
/** `BLK_DEF_MAX_SECTORS` of Linux: 1280 KiB. */
const MAX_SECTORS = 2560;

/** What the guest's program sees: Linux's error numbers. */
const EIO = 5;
const EOPNOTSUPP = 95;

const TYPE_OF_OP: readonly number[] = [BLK_T.in, BLK_T.out, BLK_T.flush, BLK_T.discard, BLK_T.writeZeroes];

export class VirtioBlkDriver extends VirtqueueDriver {
  readonly name = 'virtio_blk';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: 1, queues: 1, depth: 1 };
  readonly doneEvent = E.virtblk_done;
  readonly headBytes = SLOT_BYTES;
  /** Bytes of the disk as the device told it; settled by `probe`. */
  capacity = 0;

  /** `virtblk_probe`: negotiation, configuration, one queue for each CPU at most, DRIVER_OK. */
  probe(cpus: number): void {
    const { transport, limits } = this;
    this.cpus = cpus;
    transport.find();
    transport.negotiate(DRIVER_FEATURES);
    this.capacity =
      512 *
      (transport.config(BLK_CONFIG.capacity, 4) + transport.config(BLK_CONFIG.capacity + 4, 4) * 2 ** 32);
    if (transport.has(F.BLK_SEG_MAX)) {
      limits.maxSegments = Math.max(1, transport.config(BLK_CONFIG.segMax, 4));
    }
    const offered = transport.has(F.BLK_MQ) ? transport.config(BLK_CONFIG.numQueues, 2) : 1;
    const queues = Math.min(offered, cpus);
    transport.enableMsix((queue) => this.cpuOf(queue, queues));
    for (let index = 0; index < queues; index++) this.queues.push(this.setUpQueue(index, INDIRECT_ENTRIES));
    limits.queues = queues;
    limits.depth = this.queues[0].ring.addresses.size;
    transport.driverOk();
  }

  traceSubmit({ index }: GuestQueue, { requestId, op, sector }: BlockRequest): void {
    this.trace.emit(E.virtio_queue_rq, requestId, index, TYPE_OF_OP[op], sector >>> 0, highWord(sector));
  }

  buffers(request: BlockRequest): number {
    return request.op === OP.flush ? 2 : 2 + request.count;
  }
  outBuffers(request: BlockRequest): number {
    return request.op === OP.write ? 1 + request.count : 1;
  }

  /** Header, data, status. */
  fill(ring: GuestRing, request: BlockRequest, at: number): void {
    this.#header(at, request);
    ring.add(at, HEADER_SIZE, false);
    if (request.op !== OP.flush) {
      for (let bio = request.first; bio !== undefined; bio = bio.next) {
        ring.add(bio.address, bio.sectors * 512, request.op === OP.read);
      }
    }
    ring.add(at + STATUS_AT, 1, true);
  }

  #header(address: number, request: BlockRequest): void {
    const at = this.memory.require(address, SLOT_BYTES);
    const { view } = this.memory;
    const sector = request.op === OP.flush ? 0 : request.sector;
    view.setUint32(at, TYPE_OF_OP[request.op], true);
    view.setUint32(at + 4, 0, true);
    view.setUint32(at + 8, sector >>> 0, true);
    view.setUint32(at + 12, Math.floor(sector / 0x1_0000_0000), true);
    view.setUint8(at + STATUS_AT, 0xff);
  }

  errorOf(_request: BlockRequest, at: number): number {
    const status = this.memory.readUint(at + STATUS_AT, 1);
    if (status === BLK_S.ok) return 0;
    return status === BLK_S.unsupp ? EOPNOTSUPP : EIO;
  }
}
