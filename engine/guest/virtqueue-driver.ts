/**
 * What the guest's drivers of virtio disks share (Linux's virtio_blk.c and virtio_scsi.c over virtio_ring.c): requests become chains,
 * the doorbell is rung once for all of a batch, the interrupt handler takes used buffers until there are none. What a chain
 * consists of is the subclass's business.
 */
import { PlatterError } from '../errors.ts';
import type { GuestMemory } from '../machine/memory.ts';
import type { PendingInterrupt } from '../machine/interrupts.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { F } from '../virtio/features.ts';
import { PackedDriverQueue, packedQueueBytes } from '../virtio/queue/packed-driver.ts';
import type { DriverQueue } from '../virtio/queue/queue.ts';
import { SplitDriverQueue, splitQueueBytes } from '../virtio/queue/split-driver.ts';
import type { GuestAllocator } from './allocator.ts';
import type { BlockRequest } from './block-request.ts';
import {
  cpuOfQueue,
  queueOfCpu,
  type DriverCpu,
  type DriverLimits,
  type DriverThread,
  type GuestDriver,
} from './driver.ts';
import type { RegisterAt, VirtioTransportDriver } from './virtio-transport.ts';

/** What the driver needs of its half of a ring, whatever the layout. */
export type GuestRing = DriverQueue;

export interface GuestQueue {
  /** The virtqueue's number at the device. */
  readonly index: number;
  readonly ring: GuestRing;
  readonly doorbell: RegisterAt;
  /** Guest physical address of the driver's own bytes for each head: headers, status. */
  readonly headers: number;
  /** The request of each head. */
  readonly requests: (BlockRequest | undefined)[];
}

export interface VirtqueueDriverOptions {
  transport: VirtioTransportDriver;
  memory: GuestMemory;
  allocator: GuestAllocator;
  trace: TraceRing;
  /** The line that the device's pin arrives at, by its number at the I/O APIC; undefined when the driver looks at every line. */
  gsi?: number;
}

export abstract class VirtqueueDriver implements GuestDriver {
  abstract readonly name: string;
  abstract readonly limits: DriverLimits;
  readonly transport: VirtioTransportDriver;
  /** The queues that requests go through, in the order of blk-mq's hardware queues. */
  readonly queues: GuestQueue[] = [];
  readonly memory: GuestMemory;
  readonly trace: TraceRing;
  protected readonly allocator: GuestAllocator;
  readonly #gsi: number | undefined;
  protected cpus = 1;

  constructor(options: VirtqueueDriverOptions) {
    this.transport = options.transport;
    this.memory = options.memory;
    this.allocator = options.allocator;
    this.trace = options.trace;
    this.#gsi = options.gsi;
  }

  abstract probe(cpus: number): void;
  /** Event of the interrupt handler that found a queue: `virtblk_done`. Its only argument is the queue. */
  abstract readonly doneEvent: number;
  /** An event before that of `queue_rq`: a layer between the block layer and the driver. */
  traceDispatch?(queue: GuestQueue, request: BlockRequest): void;
  /** An event after that of `virtqueue_get_buf`, once the answer was looked at: the same layer on the way up. */
  traceDone?(queue: GuestQueue, request: BlockRequest): void;
  /** The event of `queue_rq`. */
  abstract traceSubmit(queue: GuestQueue, request: BlockRequest): void;
  /** Buffers of the request's chain. */
  abstract buffers(request: BlockRequest): number;
  /** Those of them that the device reads. */
  abstract outBuffers(request: BlockRequest): number;
  /** Adds the chain's buffers to the ring; `at` is the guest physical address of the head's own bytes. */
  abstract fill(ring: GuestRing, request: BlockRequest, at: number): void;
  /** Bytes of the driver's own for each head. */
  abstract readonly headBytes: number;
  /** Linux's error number out of what the device wrote at `at`; 0 for none. */
  abstract errorOf(request: BlockRequest, at: number): number;

  queueOf(cpu: number): number {
    return queueOfCpu(cpu, this.cpus, this.queues.length);
  }
  handles({ gsi, vector }: PendingInterrupt, cpu: number): boolean {
    const { transport, queues } = this;
    if (gsi !== undefined) return !transport.hasMessages && (this.#gsi === undefined || this.#gsi === gsi);
    for (const { index } of queues) if (transport.isFor(index, cpu, vector)) return true;
    return false;
  }
  thread(cpu: DriverCpu): DriverThread {
    return new VirtqueueThread(this, cpu);
  }

  /** Sets the device's virtqueue `index` up; `indirectEntries` descriptors are kept for each head. Throws `guest.no-queue`. */
  protected setUpQueue(index: number, indirectEntries: number): GuestQueue {
    const { transport, allocator } = this;
    const size = transport.queueSize(index);
    if (size === 0) {
      throw new PlatterError('guest.no-queue', `the device has no virtqueue ${index}`, {
        value: String(index),
      });
    }
    const ring = this.makeRing(size, indirectEntries);
    const headers = allocator.take(size * this.headBytes);
    const doorbell = transport.setUpQueue(index, ring.addresses);
    const requests = Array.from({ length: size }, () => undefined);
    return { index, ring, doorbell, headers, requests };
  }

  /** A ring in the layout that was agreed on, in memory of its own. */
  protected makeRing(size: number, indirectEntries: number): GuestRing {
    const { transport, memory, allocator } = this;
    const { usedAlign } = transport;
    const indirect = indirectEntries > 0 && transport.has(F.INDIRECT_DESC);
    const options = { indirect, eventIdx: transport.has(F.EVENT_IDX), indirectEntries, usedAlign };
    const entries = indirect ? indirectEntries : 0;
    if (transport.has(F.RING_PACKED)) {
      return new PackedDriverQueue(memory, allocator.take(packedQueueBytes(size, entries)), size, options);
    }
    const base = allocator.take(splitQueueBytes(size, entries, usedAlign));
    return new SplitDriverQueue(memory, base, size, options);
  }

  /** The CPU that each request queue's interrupts go to. */
  protected cpuOf(queue: number, queues: number): number {
    return cpuOfQueue(queue, this.cpus, queues);
  }

  /** Makes the chain and offers it to the device, which does not know yet. Answers its head. */
  add(queue: GuestQueue, request: BlockRequest): number {
    const { ring } = queue;
    ring.begin(this.buffers(request), request.requestId);
    this.fill(ring, request, queue.headers + ring.nextHead * this.headBytes);
    const head = ring.commit();
    queue.requests[head] = request;
    return head;
  }

  /** The request whose chain `ring.take` just returned, with its error set. Throws `virtio.used-id`. */
  finished(queue: GuestQueue): BlockRequest {
    const head = queue.ring.usedHead;
    const request = queue.requests[head];
    if (request === undefined) {
      throw new PlatterError(
        'virtio.used-id',
        `the device returned descriptor ${head}, which it does not hold`,
        { field: 'id', value: String(head) },
      );
    }
    queue.requests[head] = undefined;
    request.error = this.errorOf(request, queue.headers + head * this.headBytes);
    return request;
  }
}

const P = {
  idle: 0,
  queueRq: 1,
  add: 2,
  kick: 3,
  access: 4,
  isr: 5,
  ack: 6,
  done: 7,
  getBuf: 8,
  dispatch: 9,
  answered: 10,
} as const;

class VirtqueueThread implements DriverThread {
  readonly #driver: VirtqueueDriver;
  readonly #cpu: DriverCpu;
  #phase: number = P.idle;
  #queue!: GuestQueue;
  #request!: BlockRequest;
  /** On whose behalf the next doorbell is: the first request that was added since the last. */
  #kickFor = 0;
  #irqFor = 0;
  /** Queues that the interrupt handler has to look at. */
  readonly #irqQueues: GuestQueue[] = [];

  constructor(driver: VirtqueueDriver, cpu: DriverCpu) {
    this.#driver = driver;
    this.#cpu = cpu;
  }

  hasRoom(queue: number, request: BlockRequest): boolean {
    return this.#driver.queues[queue].ring.begin(this.#driver.buffers(request));
  }

  submit(queue: number, request: BlockRequest): void {
    this.#queue = this.#driver.queues[queue];
    this.#request = request;
    this.#phase = this.#driver.traceDispatch === undefined ? P.queueRq : P.dispatch;
  }

  commit(queue: number): void {
    this.#queue = this.#driver.queues[queue];
    this.#phase = P.kick;
  }

  /** With MSI-X the vector says which queues it is; with INTx the device has to be asked. */
  interrupt(irq: PendingInterrupt): void {
    const { transport, queues } = this.#driver;
    this.#irqFor = irq.requestId;
    this.#irqQueues.length = 0;
    const line = irq.gsi !== undefined;
    for (const queue of queues) {
      if (line || transport.isFor(queue.index, this.#cpu.index, irq.vector)) this.#irqQueues.push(queue);
    }
    this.#phase = P.done;
    if (line) {
      const { port, address, size } = transport.isr;
      this.#phase = P.isr;
      this.#cpu.access.begin(port, false, address, size, 0, 0);
    }
  }

  step(): boolean {
    switch (this.#phase) {
      case P.dispatch:
        this.#driver.traceDispatch?.(this.#queue, this.#request);
        this.#phase = P.queueRq;
        return true;
      case P.answered:
        this.#driver.traceDone?.(this.#irqQueues[0], this.#request);
        this.#cpu.complete(this.#request);
        this.#phase = P.getBuf;
        return true;
      case P.queueRq:
        this.#driver.traceSubmit(this.#queue, this.#request);
        this.#phase = P.add;
        return true;
      case P.add:
        return this.#add();
      case P.kick:
        return this.#kick();
      case P.access:
        if (this.#cpu.access.step()) return true;
        this.#kickFor = 0;
        this.#phase = P.idle;
        return false;
      case P.isr:
        if (this.#cpu.access.step()) return true;
        return this.#asked(this.#cpu.access.value);
      case P.ack:
        if (this.#cpu.access.step()) return true;
        this.#phase = P.done;
        return this.step();
      case P.done:
        return this.#done();
      case P.getBuf:
        return this.#getBuf();
      default:
        return false;
    }
  }

  /** What the device said why it interrupts. Reading it was the acknowledgement, unless the transport wants one written. */
  #asked(why: number): boolean {
    const { ack } = this.#driver.transport;
    if ((why & 1) === 0) this.#phase = P.idle;
    else if (ack === undefined) this.#phase = P.done;
    else {
      this.#phase = P.ack;
      this.#cpu.access.begin(ack.port, true, ack.address, ack.size, why, 0);
    }
    return this.step();
  }

  #add(): boolean {
    const request = this.#request;
    const queue = this.#queue;
    const buffers = this.#driver.buffers(request);
    const out = this.#driver.outBuffers(request);
    const head = this.#driver.add(queue, request);
    if (this.#kickFor === 0) this.#kickFor = request.requestId;
    this.#phase = P.idle;
    this.#driver.trace.emit(E.virtqueue_add, request.requestId, queue.index, head, out, buffers - out);
    return true;
  }

  #kick(): boolean {
    const { ring, index, doorbell } = this.#queue;
    const wanted = ring.kick();
    const requestId = this.#kickFor;
    if (!wanted) this.#kickFor = 0;
    else this.#cpu.access.begin(doorbell.port, true, doorbell.address, doorbell.size, index, requestId);
    this.#phase = wanted ? P.access : P.idle;
    this.#driver.trace.emit(E.virtqueue_kick, requestId, index, ring.availIdx, wanted ? 1 : 0, 0);
    return true;
  }

  #done(): boolean {
    const queue = this.#irqQueues[0];
    if (queue === undefined) {
      this.#phase = P.idle;
      return false;
    }
    queue.ring.setInterrupts(false);
    this.#phase = P.getBuf;
    this.#driver.trace.emit(this.#driver.doneEvent, this.#irqFor, queue.index, 0, 0, 0);
    return true;
  }

  #getBuf(): boolean {
    const queue = this.#irqQueues[0];
    const { ring } = queue;
    if (ring.take()) {
      const request = this.#driver.finished(queue);
      if (this.#driver.traceDone === undefined) this.#cpu.complete(request);
      else this.#phase = P.answered;
      this.#request = request;
      const { usedHead, usedLength } = ring;
      this.#driver.trace.emit(E.virtqueue_get_buf, request.requestId, queue.index, usedHead, usedLength, 0);
      return true;
    }
    // Section 2.7.7.1: after asking for interrupts again one has to look once more.
    if (ring.setInterrupts(true)) {
      ring.setInterrupts(false);
      return this.#getBuf();
    }
    this.#irqQueues.shift();
    return this.#done();
  }
}
