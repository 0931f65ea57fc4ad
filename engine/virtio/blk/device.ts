/**
 * virtio-blk (virtio 1.2, section 5.2), answering as QEMU's (hw/block/virtio-blk.c) does.
 *
 * The way of a request through `step`, one event each:
 *   notify → pop → handle → (the host's stations, HostIo) → rw_complete → req_complete → fill → flush → should-notify → interrupt
 */
import type { BlockNode } from '../../block/node.ts';
import { PlatterError } from '../../errors.ts';
import { HostIo } from '../../machine/host-io.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import { VirtioDevice, type VirtioDeviceOptions, type VirtQueueState } from '../device.ts';
import { F, featureSet } from '../features.ts';
import type { QueueElement } from '../queue/element.ts';
import type { SplitDeviceQueue } from '../queue/split-device.ts';
import { BLK_CONFIG, blkConfig, blkConfigSize } from './config.ts';
import { BLK_DEFAULTS, offeredFeatures, type BlkProperties } from './options.ts';
import {
  BLK_S,
  BLK_T,
  HEADER_SIZE,
  ID_BYTES,
  SECTOR,
  SEGMENT_SIZE,
  SEGMENT_UNMAP,
  TYPE_BARRIER,
} from './protocol.ts';
import { BlkRequest } from './request.ts';

export interface VirtioBlkOptions extends Pick<
  VirtioDeviceOptions,
  'name' | 'memory' | 'trace' | 'nextRequestId'
> {
  node: BlockNode;
  host: HostIo;
  properties?: Partial<BlkProperties>;
  /** Offer the disk read-only although the node could be written. */
  readOnly?: boolean;
  /** `discard=unmap` of the drive: discards reach the node. QEMU's default answers them without doing anything. */
  unmap?: boolean;
  /** The device is served by an IOThread and interrupts through irqfds. */
  irqfd?: boolean;
}

/** Where the device's thread stands. */
const IDLE = 0;
const POP = 1;
const HANDLE = 2;
const RW_COMPLETE = 3;
const REQ_COMPLETE = 4;
const FILL = 5;
const FLUSH = 6;
const SHOULD_NOTIFY = 7;
const INTERRUPT = 8;

export class VirtioBlk extends VirtioDevice {
  readonly deviceId = 2;
  readonly configSize: number;
  readonly node: BlockNode;
  readonly readOnly: boolean;
  readonly properties: BlkProperties;
  /** Requests by what they did, and those that did not go well. */
  readonly stats = { reads: 0, writes: 0, flushes: 0, others: 0, errors: 0, bytesRead: 0, bytesWritten: 0 };
  /** Why the last request failed at the block node, for the screen. */
  lastFailure: unknown;
  writeback: boolean;
  readonly #host: HostIo;
  readonly #irqfd: boolean;
  readonly #unmap: boolean;
  readonly #config: DataView;
  /** Sectors of the disk. */
  readonly #capacity: number;
  /** Logical block size less one. */
  readonly #blockMask: number;
  /** `step` does one thing; otherwise a request goes on as far as it can. */
  #single = true;
  readonly #waiting: VirtQueueState[] = [];
  readonly #requests: BlkRequest[] = [];
  readonly #pool: BlkRequest[] = [];
  #atHost = 0;
  #doneHead: BlkRequest | undefined;
  #doneTail: BlkRequest | undefined;
  #phase = IDLE;
  #queue!: VirtQueueState;
  #request!: BlkRequest;
  #interruptFor = 0;
  /** Where to go on after a completion: the queue that was being emptied. */
  #resume: VirtQueueState | undefined;

  constructor(options: VirtioBlkOptions) {
    const properties: BlkProperties = { ...BLK_DEFAULTS, ...options.properties };
    super({
      ...options,
      queues: Array.from({ length: properties.numQueues }, () => properties.queueSize),
      offered: offeredFeatures(properties, options.readOnly === true || options.node.readOnly),
    });
    this.properties = properties;
    this.node = options.node;
    this.readOnly = options.readOnly === true || options.node.readOnly;
    this.#host = options.host;
    this.#irqfd = options.irqfd ?? false;
    this.#unmap = options.unmap ?? false;
    this.writeback = properties.writeCache;
    this.#capacity = Math.floor(options.node.virtualSize / SECTOR);
    this.#blockMask = properties.logicalBlockSize - 1;
    this.configSize = blkConfigSize(properties);
    this.#config = blkConfig(options.node.virtualSize, properties, this.writeback);
  }

  // ---- configuration space ----

  readConfig(offset: number, size: 1 | 2 | 4): number {
    if (size === 1) return this.#config.getUint8(offset);
    return size === 2 ? this.#config.getUint16(offset, true) : this.#config.getUint32(offset, true);
  }

  /** Section 5.2.5.2: only `writeback` can be written. */
  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    const at = BLK_CONFIG.writeback - offset;
    if (at < 0 || at >= size) return;
    this.#setWriteback(((value >>> (at * 8)) & 0xff) !== 0);
  }

  #setWriteback(on: boolean): void {
    this.writeback = on;
    this.#config.setUint8(BLK_CONFIG.writeback, on ? 1 : 0);
  }

  /** Section 5.2.5.2: without CONFIG_WCE, a driver that did not take FLUSH gets a write-through cache. */
  protected override onDriverOk(started: boolean): void {
    if (started && !this.has(F.BLK_CONFIG_WCE)) this.#setWriteback(this.has(F.BLK_FLUSH));
  }

  /** As QEMU: on a legacy-only device SCSI commands are offered (and refused), and the layout of requests is not free. */
  override legacyFeatures(modern: boolean): bigint {
    const common = super.legacyFeatures(modern);
    return modern ? common : (common & ~featureSet(F.ANY_LAYOUT)) | featureSet(F.BLK_SCSI);
  }

  // ---- reset ----

  protected resetDevice(): void {
    this.#waiting.length = 0;
    for (const request of this.#requests) if (request.atHost) request.host.cancelled = true;
    this.#dropDone(undefined);
    this.#resume = undefined;
    this.#abandon();
    this.#setWriteback(this.properties.writeCache);
  }

  protected queueDropped(queue: VirtQueueState): void {
    for (const request of this.#requests) {
      if (request.atHost && request.queue === queue) {
        request.host.cancelled = true;
        request.generation = -1;
      }
    }
    this.#dropDone(queue);
    const at = this.#waiting.indexOf(queue);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#resume === queue) this.#resume = undefined;
    if (this.#queue === queue) this.#abandon();
  }

  /** Stops in the middle of a request. */
  #abandon(): void {
    if (this.#phase >= HANDLE && this.#phase <= SHOULD_NOTIFY) this.#release(this.#request);
    this.#phase = IDLE;
  }

  /** Forgets finished requests of `queue`, or all. */
  #dropDone(queue: VirtQueueState | undefined): void {
    let request = this.#doneHead;
    this.#doneHead = this.#doneTail = undefined;
    while (request !== undefined) {
      const next = request.next;
      if (queue === undefined || request.queue === queue) this.#release(request);
      else this.#push(request);
      request = next;
    }
  }

  protected get draining(): boolean {
    return this.#atHost > 0;
  }

  // ---- the device's thread ----

  protected notified(queue: VirtQueueState): void {
    if (!this.#waiting.includes(queue)) this.#waiting.push(queue);
  }

  /** Whether `step` would do something. */
  get busy(): boolean {
    return (
      this.#phase !== IDLE || this.#doneHead !== undefined || this.#waiting.length > 0 || this.#host.busy
    );
  }

  /** Everything, the disk included, until nothing is left to do. For whoever has no scheduler of his own. */
  override process(): void {
    this.memory.refresh();
    this.#single = false;
    do while (this.step());
    while (this.#host.stepHardware());
    this.#single = true;
  }

  step(): boolean {
    switch (this.#phase) {
      case POP:
        return this.#single ? this.#pop() : this.#serve();
      case HANDLE:
        return this.#handle();
      case RW_COMPLETE:
        return this.#rwComplete();
      case REQ_COMPLETE:
        return this.#reqComplete();
      case FILL:
        return this.#fill();
      case FLUSH:
        return this.#flush();
      case SHOULD_NOTIFY:
        return this.#shouldNotify();
      case INTERRUPT:
        return this.#interrupt();
      default:
        return this.#idle();
    }
  }

  /**
   * What next, in the order of QEMU's thread: what a handler or a coroutine does before it returns (an answer without the host, the
   * submission), then the rest of the queue (`virtio_blk_handle_vq` does not look at the event loop in between), and only then the
   * event loop's turn: completions that the host reported, and other doorbells.
   */
  #idle(): boolean {
    const done = this.#doneHead;
    if (done !== undefined) {
      this.#doneHead = done.next;
      if (this.#doneHead === undefined) this.#doneTail = undefined;
      return this.#complete(done);
    }
    if (this.#host.stepSubmitted()) return true;
    if (this.isBroken) {
      this.#waiting.length = 0;
      this.#resume = undefined;
      return this.#host.stepReported();
    }
    const resume = this.#resume;
    if (resume !== undefined) {
      this.#resume = undefined;
      this.#queue = resume;
      return this.#single ? this.#pop() : this.#serve();
    }
    if (this.#host.stepReported()) return true;
    const queue = this.#waiting.shift();
    if (queue === undefined) return false;
    this.trace.emit(E.virtio_queue_notify, 0, queue.index, 0, 0, 0);
    queue.ring?.setNotification(false);
    this.#queue = queue;
    this.#phase = POP;
    return true;
  }

  /** Takes the next chain. */
  #pop(): boolean {
    const queue = this.#queue;
    const { ring } = queue;
    this.#phase = IDLE;
    if (ring === undefined || this.isBroken) return this.#idle();
    let element;
    try {
      element = ring.pop();
      if (element === null) return this.#sleep(ring);
    } catch (error) {
      this.fail(queue, error);
      return true;
    }
    this.#request = this.#begin(queue, element);
    this.#phase = HANDLE;
    return true;
  }

  /** The request that a chain is. */
  #begin(queue: VirtQueueState, element: QueueElement): BlkRequest {
    const request = this.#pool.pop() ?? this.#newRequest();
    const requestId = this.requestIdOf(queue, element.head);
    request.queue = queue;
    request.generation = this.generation;
    request.element = element;
    request.requestId = requestId;
    element.requestId = requestId;
    this.trace.emit(E.virtqueue_pop, requestId, queue.index, element.head, element.inCount, element.outCount);
    return request;
  }

  /**
   * What `step` does from POP to INTERRUPT, over and over while each request is answered at once: the same pieces in the same order,
   * without standing still in between. At anything else the loop ends, and the steps go on from there.
   */
  #serve(): boolean {
    const queue = this.#queue;
    const { ring } = queue;
    this.#phase = IDLE;
    if (ring === undefined) return this.#idle();
    // An interrupt can end in a reset by whoever takes it.
    while (queue.ring === ring && !this.isBroken) {
      let element;
      try {
        element = ring.pop();
      } catch (error) {
        this.fail(queue, error);
        return true;
      }
      if (element === null) {
        this.#resume = undefined;
        return this.#sleep(ring);
      }
      this.#request = this.#begin(queue, element);
      this.#handle();
      if (this.#phase === INTERRUPT) this.#interrupt();
      if (this.#doneHead !== undefined || this.#host.busy) return true;
    }
    return true;
  }

  /** Nothing is left on the ring: asks for doorbells again and looks once more, since one may have been missed in between. */
  #sleep(ring: SplitDeviceQueue): boolean {
    if (!ring.setNotification(true)) return this.#idle();
    ring.setNotification(false);
    this.#phase = POP;
    return true;
  }

  #newRequest(): BlkRequest {
    const request = new BlkRequest(this.#hostFinished);
    this.#requests.push(request);
    return request;
  }

  /** Understands the request, and either gives it to the host or completes it. */
  #handle(): boolean {
    const request = this.#request;
    const { element, queue } = request;
    this.#phase = IDLE;
    this.#resume = queue;
    if (!request.parse(this.memory, element)) {
      this.#refuse(request);
      return true;
    }
    switch (request.type & ~(TYPE_BARRIER | BLK_T.out)) {
      case BLK_T.in:
        return this.#readOrWrite(request, (request.type & BLK_T.out) !== 0);
      case BLK_T.flush:
        this.trace.emit(E.virtio_blk_handle_flush, request.requestId, 0, 0, 0, 0);
        return this.#toHost(request, OP.flush, 0, 0);
      case BLK_T.getId:
        return this.#getId(request);
      case BLK_T.discard & ~BLK_T.out:
      case BLK_T.writeZeroes & ~BLK_T.out:
        return this.#discardOrWriteZeroes(request);
      default:
        return this.#unsupported(request);
    }
  }

  /** The request has no room for its header or its status: nothing can be answered (section 5.2.6.2). */
  #refuse(request: BlkRequest): void {
    const { element, queue } = request;
    const enough = element.outBytes >= HEADER_SIZE;
    this.#release(request);
    this.fail(
      queue,
      new PlatterError(
        enough ? 'virtio.blk-no-status' : 'virtio.blk-header',
        enough
          ? 'virtio 1.2, section 5.2.6: a request must end with a device-writable status byte'
          : `virtio 1.2, section 5.2.6: a request must begin with ${HEADER_SIZE} device-readable bytes; found ${element.outBytes}`,
        { field: '5.2.6', value: String(enough ? element.inCount : element.outBytes) },
      ),
    );
  }

  #readOrWrite(request: BlkRequest, write: boolean): boolean {
    const bytes = write ? request.outBytes : request.inBytes;
    const { requestId, sectorLow, sectorHigh } = request;
    this.trace.emit(
      write ? E.virtio_blk_handle_write : E.virtio_blk_handle_read,
      requestId,
      sectorLow,
      sectorHigh,
      bytes >>> 9,
      0,
    );
    const unaligned = (bytes & this.#blockMask) | (sectorLow & (this.#blockMask >>> 9));
    if (unaligned !== 0 || !this.#inRange(request.sector, bytes >>> 9)) {
      return this.#finish(request, BLK_S.ioerr);
    }
    request.rw = true;
    if (write && this.readOnly) return this.#finish(request, BLK_S.ioerr);
    request.windows(this.memory, write);
    return this.#toHost(request, write ? OP.write : OP.read, request.sector * SECTOR, bytes);
  }

  /** Sectors past 2^53 are past the disk's end all the more. */
  #inRange(sector: number, sectors: number): boolean {
    return sector <= this.#capacity && sectors <= this.#capacity - sector;
  }

  /** QEMU copies as much as there is room for; shorter answers than 20 bytes end with the string's NUL. */
  #getId(request: BlkRequest): boolean {
    const text = new TextEncoder().encode(this.properties.serial).subarray(0, ID_BYTES);
    const id = new Uint8Array(Math.min(text.length + 1, ID_BYTES));
    id.set(text);
    request.written = request.scatter(this.memory, id);
    this.trace.emit(E.virtio_blk_handle_get_id, request.requestId, request.written, 0, 0, 0);
    return this.#finish(request, BLK_S.ok);
  }

  #unsupported(request: BlkRequest): boolean {
    this.trace.emit(E.virtio_blk_unsupported, request.requestId, request.type, 0, 0, 0);
    return this.#finish(request, BLK_S.unsupp);
  }

  /** Section 5.2.6.2: one segment, no flag but `unmap`, and that one only for write zeroes. */
  #discardOrWriteZeroes(request: BlkRequest): boolean {
    const zeroes = (request.type & ~TYPE_BARRIER) === BLK_T.writeZeroes;
    const wanted = zeroes ? this.properties.writeZeroes : this.properties.discard;
    if ((request.type & BLK_T.out) === 0 || !wanted || request.outBytes > SEGMENT_SIZE) {
      return this.#unsupported(request);
    }
    const segment = new DataView(new ArrayBuffer(SEGMENT_SIZE));
    if (request.gather(this.memory, HEADER_SIZE, new Uint8Array(segment.buffer)) !== SEGMENT_SIZE) {
      const { queue } = request;
      const found = request.outBytes;
      this.#release(request);
      this.fail(
        queue,
        new PlatterError(
          'virtio.blk-segment',
          `virtio 1.2, section 5.2.6: a discard or write zeroes needs ${SEGMENT_SIZE} bytes of segment; found ${found}`,
          { field: '5.2.6', value: String(found) },
        ),
      );
      return true;
    }
    this.trace.emit(E.virtio_blk_handle_discard_write_zeroes, request.requestId, request.type, 1, 0, 0);
    const sector = segment.getUint32(0, true) + segment.getUint32(4, true) * 0x1_0000_0000;
    const sectors = segment.getUint32(8, true);
    const flags = segment.getUint32(12, true);
    const most = zeroes ? this.properties.maxWriteZeroesSectors : this.properties.maxDiscardSectors;
    const block = this.properties.logicalBlockSize / SECTOR;
    if (sectors > most || !this.#inRange(sector, sectors) || sector % block !== 0 || sectors % block !== 0) {
      return this.#finish(request, BLK_S.ioerr);
    }
    const unmap = (flags & SEGMENT_UNMAP) !== 0;
    if ((flags & ~SEGMENT_UNMAP) !== 0 || (unmap && !zeroes)) return this.#finish(request, BLK_S.unsupp);
    if (this.readOnly) return this.#finish(request, BLK_S.ioerr);
    if (!zeroes && !this.#unmap) return this.#finish(request, BLK_S.ok);
    request.host.unmap = unmap && this.#unmap;
    request.host.windowCount = 0;
    return this.#toHost(request, zeroes ? OP.writeZeroes : OP.discard, sector * SECTOR, sectors * SECTOR);
  }

  #toHost(request: BlkRequest, op: number, offset: number, bytes: number): boolean {
    const { host } = request;
    host.requestId = request.requestId;
    host.op = op;
    host.offset = offset;
    host.bytes = bytes;
    host.node = this.node;
    host.through = op === OP.write && !this.writeback;
    if (!this.#single && this.#host.performNow(host)) {
      this.#settle(request);
      return this.#complete(request);
    }
    request.atHost = true;
    this.#atHost++;
    if (this.#single) this.#host.submit(host);
    return true;
  }

  /** Completed without the host. */
  #finish(request: BlkRequest, status: number): boolean {
    request.status = status;
    this.#push(request);
    return true;
  }

  #push(request: BlkRequest): void {
    request.next = undefined;
    if (this.#doneTail === undefined) this.#doneHead = request;
    else this.#doneTail.next = request;
    this.#doneTail = request;
  }

  /** The host is done with it. What was begun before a reset is dropped (its memory belongs to somebody else now). */
  readonly #hostFinished = (request: BlkRequest): void => {
    request.atHost = false;
    this.#atHost--;
    if (request.generation !== this.generation) {
      this.#release(request);
      return;
    }
    this.#settle(request);
    this.#push(request);
  };

  /** How it went. */
  #settle(request: BlkRequest): void {
    const { host } = request;
    if (host.error === undefined) {
      request.status = BLK_S.ok;
      if (host.op === OP.read) request.written = host.bytes;
    } else {
      this.lastFailure = host.error;
      request.status = BLK_S.ioerr;
    }
  }

  // ---- completion ----

  #complete(request: BlkRequest): boolean {
    this.#request = request;
    this.#queue = request.queue;
    this.#phase = request.rw ? RW_COMPLETE : REQ_COMPLETE;
    return request.rw ? this.#rwComplete() : this.#reqComplete();
  }

  #rwComplete(): boolean {
    const { requestId, status } = this.#request;
    this.trace.emit(E.virtio_blk_rw_complete, requestId, status === BLK_S.ok ? 0 : -5, 0, 0, 0);
    this.#phase = REQ_COMPLETE;
    return this.#single || this.#reqComplete();
  }

  #reqComplete(): boolean {
    const request = this.#request;
    this.memory.dirty(request.statusAt, 1);
    this.memory.view.setUint8(request.statusAt, request.status);
    this.trace.emit(E.virtio_blk_req_complete, request.requestId, request.status, 0, 0, 0);
    this.#count(request);
    this.#phase = FILL;
    return this.#single || this.#fill();
  }

  #count(request: BlkRequest): void {
    const { stats } = this;
    if (request.status !== BLK_S.ok) stats.errors++;
    const type = request.type & ~TYPE_BARRIER;
    if (type === BLK_T.in) {
      stats.reads++;
      stats.bytesRead += request.written;
    } else if (type === BLK_T.out) {
      stats.writes++;
      if (request.status === BLK_S.ok) stats.bytesWritten += request.outBytes;
    } else if (type === BLK_T.flush) {
      stats.flushes++;
    } else {
      stats.others++;
    }
  }

  /** Section 2.7.8.2: `len` is what was written from the start of the writable part on, so a failed read counts only its status. */
  #fill(): boolean {
    const request = this.#request;
    const { ring } = this.#queue;
    const written = request.written === request.inBytes ? request.inBytes + 1 : request.written;
    const idx = ring?.usedIdx ?? 0;
    ring?.fill(request.element, written);
    this.trace.emit(
      E.virtqueue_fill,
      request.requestId,
      this.#queue.index,
      request.element.head,
      written,
      idx,
    );
    this.#phase = FLUSH;
    return this.#single || this.#flush();
  }

  #flush(): boolean {
    const count = this.#queue.ring?.flush() ?? 0;
    this.trace.emit(E.virtqueue_flush, this.#request.requestId, this.#queue.index, count, 0, 0);
    this.#phase = SHOULD_NOTIFY;
    return this.#single || this.#shouldNotify();
  }

  #shouldNotify(): boolean {
    const requestId = this.#request.requestId;
    const notify = this.#queue.ring?.shouldNotify() ?? false;
    this.#release(this.#request);
    if (!notify) {
      this.trace.emit(E.virtio_should_notify, requestId, this.#queue.index, 0, 0, 0);
      this.#phase = IDLE;
      return true;
    }
    this.trace.emit(
      this.#irqfd ? E.virtio_notify_irqfd : E.virtio_notify,
      requestId,
      this.#queue.index,
      0,
      0,
      0,
    );
    this.isr |= 1;
    this.#interruptFor = requestId;
    this.#phase = INTERRUPT;
    return true;
  }

  #interrupt(): boolean {
    this.#phase = IDLE;
    this.transport?.queueInterrupt(this.#queue, this.#interruptFor, this.#irqfd);
    return true;
  }

  #release(request: BlkRequest): void {
    this.#pool.push(request);
  }
}
