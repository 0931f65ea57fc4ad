/** The guest's virtio-blk driver, as Linux's drivers/block/virtio_blk.c: sets the device up, makes chains out of requests. */
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord } from '../trace/ring.ts';
import { BLK_CONFIG } from '../virtio/blk/config.ts';
import { BLK_S, BLK_T, HEADER_SIZE, SECTOR, SEGMENT_SIZE } from '../virtio/blk/protocol.ts';
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
  F.BLK_SECURE_ERASE,
  F.INDIRECT_DESC,
  F.EVENT_IDX,
  F.RING_RESET,
  F.RING_PACKED,
  F.ACCESS_PLATFORM,
);

/** Of one chain: header, status byte, the segment of what names a range instead of bringing data. */
const SLOT = { header: 0, status: HEADER_SIZE, segment: 32, bytes: 48 } as const;
/** Indirect tables of so many descriptors are kept for each head; longer chains go into the ring itself. */
const INDIRECT_ENTRIES = 34;
/** `BLK_DEF_MAX_SECTORS` of Linux: 1280 KiB. */
const MAX_SECTORS = 2560;

/** What the guest's program sees: Linux's error numbers. */
const EIO = 5;
const EOPNOTSUPP = 95;

const TYPE_OF_OP: readonly number[] = [
  BLK_T.in,
  BLK_T.out,
  BLK_T.flush,
  BLK_T.discard,
  BLK_T.writeZeroes,
  BLK_T.secureErase,
];

export class VirtioBlkDriver extends VirtqueueDriver {
  readonly name = 'virtio_blk';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: 1, queues: 1, depth: 1 };
  readonly doneEvent = E.virtblk_done;
  readonly headBytes = SLOT.bytes;
  /** Bytes of the disk as the device told it; settled by `probe`. */
  capacity = 0;

  /** `virtblk_probe`: negotiation, configuration, one queue for each CPU at most, DRIVER_OK. */
  probe(cpus: number): void {
    const { transport, limits } = this;
    this.cpus = cpus;
    transport.find();
    transport.negotiate(DRIVER_FEATURES);
    this.capacity =
      SECTOR *
      (transport.config(BLK_CONFIG.capacity, 4) + transport.config(BLK_CONFIG.capacity + 4, 4) * 2 ** 32);
    if (transport.has(F.BLK_SEG_MAX)) {
      limits.maxSegments = Math.max(1, transport.config(BLK_CONFIG.segMax, 4));
    }
    // Whole sectors: what the block layer cuts into buffers.
    limits.maxSegmentBytes = transport.has(F.BLK_SIZE_MAX)
      ? Math.max(1, Math.floor(transport.config(BLK_CONFIG.sizeMax, 4) / SECTOR)) * SECTOR
      : Infinity;
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

  buffers({ op, count }: BlockRequest): number {
    if (op === OP.flush) return 2;
    return op <= OP.write ? 2 + count : 3;
  }
  outBuffers({ op, count }: BlockRequest): number {
    if (op === OP.read || op === OP.flush) return 1;
    return op === OP.write ? 1 + count : 2;
  }

  /** Header, data or segment, status. */
  fill(ring: GuestRing, request: BlockRequest, at: number): void {
    const { op } = request;
    this.#header(at, request);
    ring.add(at + SLOT.header, HEADER_SIZE, false);
    if (op <= OP.write) this.#data(ring, request);
    else if (op !== OP.flush) this.#segment(ring, request, at + SLOT.segment);
    ring.add(at + SLOT.status, 1, true);
  }

  #data(ring: GuestRing, { first, op }: BlockRequest): void {
    const most = this.limits.maxSegmentBytes ?? Infinity;
    for (let bio = first; bio !== undefined; bio = bio.next) {
      const bytes = bio.sectors * SECTOR;
      for (let done = 0; done < bytes; done += most) {
        ring.add(bio.address + done, Math.min(bytes - done, most), op === OP.read);
      }
    }
  }

  /** `virtblk_setup_discard_write_zeroes_erase`, with one range. */
  #segment(ring: GuestRing, { sector, sectors }: BlockRequest, address: number): void {
    const at = this.memory.require(address, SEGMENT_SIZE);
    const { view } = this.memory;
    view.setBigUint64(at, BigInt(sector), true);
    view.setUint32(at + 8, sectors, true);
    view.setUint32(at + 12, 0, true);
    ring.add(address, SEGMENT_SIZE, false);
  }

  #header(address: number, request: BlockRequest): void {
    const at = this.memory.require(address, SLOT.bytes);
    const { view } = this.memory;
    // Section 5.2.6: unused, and 0, but for reads and writes.
    const sector = request.op <= OP.write ? request.sector : 0;
    view.setUint32(at, TYPE_OF_OP[request.op], true);
    view.setUint32(at + 4, 0, true);
    view.setUint32(at + 8, sector >>> 0, true);
    view.setUint32(at + 12, Math.floor(sector / 0x1_0000_0000), true);
    view.setUint8(at + SLOT.status, 0xff);
  }

  errorOf(_request: BlockRequest, at: number): number {
    const status = this.memory.readUint(at + SLOT.status, 1);
    if (status === BLK_S.ok) return 0;
    return status === BLK_S.unsupp ? EOPNOTSUPP : EIO;
  }
}
