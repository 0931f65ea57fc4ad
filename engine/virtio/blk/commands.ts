/**
 * What a request asks for (virtio 1.2, section 5.2.6), answering as QEMU's hw/block/virtio-blk.c does: either the host has to do
 * something, or the answer is known at once.
 */
import type { BlockNode } from '../../block/node.ts';
import { PlatterError } from '../../errors.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { REQUEST_MAX_SECTORS, type BlkProperties } from './options.ts';
import { BLK_S, BLK_T, ID_BYTES, SECTOR, SEGMENT_SIZE, SEGMENT_UNMAP, TYPE_BARRIER } from './protocol.ts';
import { judgeRange, rangeRule } from './ranges.ts';
import type { BlkRequest } from './request.ts';

/** Longer transfers than this, bytes, take the long way. */
const SHORT_TRANSFER = 1 << 24;

/** The disk that the requests are for. */
export interface BlkDisk {
  node: BlockNode;
  properties: BlkProperties;
  readOnly: boolean;
  /** Discards reach the node. */
  unmap: boolean;
}

export class BlkCommands {
  /** The write cache is on. */
  writeback = true;
  /** Secure erase was negotiated. */
  secureErase = false;
  /** The most bytes of one buffer of data that was agreed on. */
  sizeMax = Infinity;
  readonly #memory: GuestMemory;
  readonly #trace: TraceRing;
  readonly #disk: BlkDisk;
  /** Sectors of the disk. */
  #capacity: number;
  /** Logical block size less one. */
  readonly #blockMask: number;

  constructor(memory: GuestMemory, trace: TraceRing, disk: BlkDisk) {
    this.#memory = memory;
    this.#trace = trace;
    this.#disk = disk;
    this.#capacity = Math.floor(disk.node.virtualSize / SECTOR);
    this.#blockMask = disk.properties.logicalBlockSize - 1;
  }

  /** The disk has another size now: what is judged from now on is judged by that. */
  capacityChanged(): void {
    this.#capacity = Math.floor(this.#disk.node.virtualSize / SECTOR);
  }

  /** Tells of a request that was taken off its queue. */
  popped({ requestId, queue, element }: BlkRequest): void {
    const { head, inCount, outCount } = element;
    this.#trace.emit(E.virtqueue_pop, requestId, queue.index, head, inCount, outCount);
  }

  /**
   * Decides what to do with a parsed request: true when `request.host` tells what the host has to do, false when `request.status` is
   * the answer. Throws `virtio.blk-segment`.
   */
  begin(request: BlkRequest): boolean {
    const { requestId, type } = request;
    switch (type & ~(TYPE_BARRIER | BLK_T.out)) {
      case BLK_T.in:
        this.#trace.emit(
          request.isWrite ? E.virtio_blk_handle_write : E.virtio_blk_handle_read,
          requestId,
          request.sectorLow,
          request.sectorHigh,
          request.dataBytes >>> 9,
          0,
        );
        return this.transfer(request);
      case BLK_T.flush:
        this.#trace.emit(E.virtio_blk_handle_flush, requestId, 0, 0, 0, 0);
        return this.#host(request, OP.flush, 0, 0);
      case BLK_T.getId:
        return this.#getId(request);
      case BLK_T.discard & ~BLK_T.out:
      case BLK_T.writeZeroes & ~BLK_T.out:
      case BLK_T.secureErase:
        return this.#range(request);
      default:
        return this.#unsupported(request);
    }
  }

  /** A transfer that the short way may carry out: aligned, on the disk, allowed, and with nothing to do after it. */
  fits(sector: number, bytes: number, write: boolean): boolean {
    const unaligned = (bytes & this.#blockMask) | (sector & (this.#blockMask >>> 9));
    const last = this.#capacity - (bytes >>> 9);
    return (
      unaligned === 0 &&
      sector <= last &&
      bytes <= SHORT_TRANSFER &&
      bytes <= this.sizeMax &&
      (!write || (this.writeback && !this.#disk.readOnly))
    );
  }

  /** A read or a write; its event has been recorded. */
  transfer(request: BlkRequest): boolean {
    const bytes = request.dataBytes;
    const { sectorLow } = request;
    const unaligned = (bytes & this.#blockMask) | (sectorLow & (this.#blockMask >>> 9));
    // Section 5.2.3 forbids the driver longer segments and does not say what becomes of them. A device with such a limit cannot move
    // them: it neither cuts them, which nobody would notice, nor is the rest of the ring in doubt.
    const tooLong = bytes > this.sizeMax && request.longestBuffer > this.sizeMax;
    if (unaligned !== 0 || tooLong || !this.#inRange(request.sector, bytes >>> 9)) {
      request.status = BLK_S.ioerr;
      return false;
    }
    request.rw = true;
    const write = request.isWrite;
    if (write && this.#disk.readOnly) {
      request.host.error = new PlatterError('block.read-only', 'the disk is read-only', {
        image: this.#disk.node.name,
      });
      return false;
    }
    request.windows(this.#memory, write);
    return this.#host(request, write ? OP.write : OP.read, request.sector * SECTOR, bytes);
  }

  #inRange(sector: number, sectors: number): boolean {
    return sectors <= REQUEST_MAX_SECTORS && sector <= this.#capacity && sectors <= this.#capacity - sector;
  }

  #host(request: BlkRequest, op: number, offset: number, bytes: number): boolean {
    const { host } = request;
    host.requestId = request.requestId;
    host.op = op;
    host.offset = offset;
    host.bytes = bytes;
    host.node = this.#disk.node;
    host.through = (op === OP.write || op === OP.writeZeroes) && !this.writeback;
    return true;
  }

  /** QEMU copies as much as there is room for; shorter answers than 20 bytes end with the string's NUL. */
  #getId(request: BlkRequest): boolean {
    const text = new TextEncoder().encode(this.#disk.properties.serial).subarray(0, ID_BYTES);
    const id = new Uint8Array(Math.min(text.length + 1, ID_BYTES));
    id.set(text);
    request.written = request.scatter(this.#memory, id);
    this.#trace.emit(E.virtio_blk_handle_get_id, request.requestId, request.written, 0, 0, 0);
    return false;
  }

  /** GET_LIFETIME is of a feature that the device does not offer, everything else of nobody's. */
  #unsupported(request: BlkRequest): boolean {
    this.#trace.emit(E.virtio_blk_unsupported, request.requestId, request.type, 0, 0, 0);
    request.status = BLK_S.unsupp;
    return false;
  }

  /** Section 5.2.6.2: one segment, as `max_discard_seg` and its like say. */
  #range(request: BlkRequest): boolean {
    const { properties, unmap, readOnly } = this.#disk;
    const rule = rangeRule(request.type & ~TYPE_BARRIER, properties, this.secureErase);
    if (rule === undefined || request.outBytes > SEGMENT_SIZE) return this.#unsupported(request);
    if (!request.segmentCopied) this.#copySegment(request);
    const { segment, host } = request;
    this.#trace.emit(E.virtio_blk_handle_discard_write_zeroes, request.requestId, request.type, 1, 0, 0);
    // Sectors past 2^53 are past the disk's end all the more.
    const sector = segment.getUint32(0, true) + segment.getUint32(4, true) * 0x1_0000_0000;
    const sectors = segment.getUint32(8, true);
    const flags = segment.getUint32(12, true);
    request.status = judgeRange(rule, { sector, sectors, flags }, this.#capacity);
    if (request.status !== BLK_S.ok) return false;
    if (readOnly) {
      request.status = BLK_S.ioerr;
      return false;
    }
    if (rule.op === OP.discard && !unmap) return false;
    host.unmap = (flags & SEGMENT_UNMAP) !== 0 && unmap;
    host.windowCount = 0;
    return this.#host(request, rule.op, sector * SECTOR, sectors * SECTOR);
  }

  /** Copied once: a request that is tried again must find what was checked. */
  #copySegment(request: BlkRequest): void {
    const bytes = request.segment.buffer;
    if (request.gatherData(this.#memory, new Uint8Array(bytes)) !== SEGMENT_SIZE) {
      const found = request.outBytes;
      throw new PlatterError(
        'virtio.blk-segment',
        `virtio 1.2, section 5.2.6: a discard, write zeroes or secure erase needs ${SEGMENT_SIZE} bytes of segment; found ${found}`,
        { field: '5.2.6', value: String(found) },
      );
    }
    request.segmentCopied = true;
  }
}
