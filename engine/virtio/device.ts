/**
 * A virtio device as its transport sees it (virtio 1.2, chapter 2): status, feature negotiation, queues, configuration space,
 * reset. What it does with the requests of its queues is its subclass's business.
 *
 * A device works in steps: `step` does one thing that can be seen (at most one event) and answers whether it did anything. The
 * laboratory calls it step by step; everybody else lets `process` run until there is nothing left to do.
 */
import type { PlatterError } from '../errors.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import { F, featureSet, hasFeature, NO_VECTOR, STATUS } from './features.ts';
import { broken } from './queue/errors.ts';
import { QUEUE_SIZE_MAX } from './queue/layout.ts';
import type { DeviceQueue, QueueAddresses } from './queue/queue.ts';
import { deviceQueue } from './queue/rings.ts';

/** Steps of one call of `process`: several rings of the largest size. */
const STEPS = 1 << 20;

/** What the transport does for the device. */
export interface TransportHooks {
  /** Interrupts for a queue's used buffers on behalf of a request; with `irqfd` KVM sends the message, QEMU does not. */
  queueInterrupt(queue: VirtQueueState, requestId: number, irqfd: boolean): void;
  /** Interrupts for a change of configuration or status. */
  configInterrupt(): void;
  /** DRIVER_OK was set or is gone: doorbells may be bound or must go. */
  started(on: boolean): void;
}

/** One queue's registers and, while it is enabled, its ring. */
export class VirtQueueState {
  readonly index: number;
  /** Its size after a reset, and the largest that the transport lets a driver choose. */
  readonly defaultSize: number;
  maxSize: number;
  size: number;
  desc = 0;
  driver = 0;
  device = 0;
  vector = NO_VECTOR;
  enabled = false;
  ring: DeviceQueue | undefined;
  /** Its last turn ended before it was empty: it is served further without another doorbell. */
  goesOn = false;
  /** Request id by head, filled by a driver that takes part in the trace; otherwise the device makes ids up. */
  requestOf: Uint32Array | undefined;

  constructor(index: number, size: number) {
    this.index = index;
    this.defaultSize = this.maxSize = this.size = size;
  }

  reset(): void {
    this.ring?.drop();
    this.ring = undefined;
    this.enabled = false;
    this.size = this.defaultSize;
    this.desc = this.driver = this.device = 0;
    this.vector = NO_VECTOR;
    this.requestOf = undefined;
  }
}

export interface VirtioDeviceOptions {
  name: string;
  memory: GuestMemory;
  trace: TraceRing;
  /** Maximum size of each queue. */
  queues: readonly number[];
  /** Feature bits that the device offers. */
  offered: bigint;
  /** Hands out ids for requests that the driver gave none. */
  nextRequestId?: () => number;
}

export abstract class VirtioDevice {
  /** Section 5: the device's number, 2 for a block device. */
  abstract readonly deviceId: number;
  readonly name: string;
  readonly memory: GuestMemory;
  readonly trace: TraceRing;
  readonly queues: readonly VirtQueueState[];
  readonly offered: bigint;
  /** What the driver wrote, within what was offered. */
  acked = 0n;
  /** Bits that a legacy interface offers beside those (section 6.3), set by a transport that has one. */
  legacyOffered = 0n;
  /** The transport may not reach memory (bus mastering is off): doorbells ring for nobody. */
  disabled = false;
  status = 0;
  /** Section 2.5.1: counts changes of the configuration space. */
  configGeneration = 0;
  configVector = NO_VECTOR;
  /** Section 4.1.4.5: bit 0 a queue, bit 1 the configuration. */
  isr = 0;
  /** Why the device asks to be reset. */
  error: PlatterError | undefined;
  /** Counts resets: what was begun before one is dropped when it ends. */
  generation = 0;
  transport: TransportHooks | undefined;
  protected readonly nextRequestId: () => number;
  #broken = false;

  constructor(options: VirtioDeviceOptions) {
    this.name = options.name;
    this.memory = options.memory;
    this.trace = options.trace;
    this.offered = options.offered;
    this.queues = options.queues.map((size, index) => new VirtQueueState(index, size));
    let last = 0;
    this.nextRequestId = options.nextRequestId ?? (() => (last = last === 0xffff_ffff ? 1 : last + 1));
  }

  /** Bytes of the device's configuration space. */
  abstract readonly configSize: number;
  /** `size` bytes at `offset`, which lie inside. */
  abstract readConfig(offset: number, size: 1 | 2 | 4): number;
  abstract writeConfig(offset: number, size: 1 | 2 | 4, value: number): void;
  /** A queue has work. */
  protected abstract notified(queue: VirtQueueState): void;
  /** Drops everything in flight. */
  protected abstract resetDevice(): void;
  protected abstract queueDropped(queue: VirtQueueState): void;
  /** Requests that cannot be called back yet; the reset is complete when there are none. */
  protected abstract get draining(): boolean;
  /** Does one thing; false when there is nothing to do. */
  abstract step(): boolean;

  /**
   * Runs until there is nothing left to do, or until its budget is spent: a driver that always offers more must not keep everybody else
   * waiting. True when something is left: call it again. What waits for a promise goes on when it comes true.
   */
  process(): boolean {
    this.memory.refresh();
    for (let left = STEPS; left > 0; left--) if (!this.step()) return false;
    return true;
  }

  /** The driver broke a rule: nothing more is done until a reset. A legacy driver is not told (see `fail`). */
  get isBroken(): boolean {
    return this.#broken;
  }
  has(feature: number): boolean {
    return hasFeature(this.acked, feature);
  }

  /** Section 2.1 as the driver reads it: 0 after a reset only when nothing is in flight any more (section 4.1.4.3.1). */
  readStatus(): number {
    return this.status === 0 && this.draining ? STATUS.acknowledge : this.status;
  }

  /**
   * The driver writes the status. Writing 0 resets. A status with FEATURES_OK is not taken when the driver has left out what the device
   * cannot do without (section 3.1.1, step 5, and 6.2; QEMU's `virtio_validate_features`): it stays what it was.
   */
  writeStatus(value: number): void {
    this.trace.emit(E.virtio_set_status, 0, value, 0, 0, 0);
    if (value === 0) {
      this.reset();
      return;
    }
    if (this.#refuses(value)) return;
    const started = (value & STATUS.driverOk) !== 0;
    const changed = started !== ((this.status & STATUS.driverOk) !== 0);
    // The driver cannot clear DEVICE_NEEDS_RESET but by a reset.
    this.status = value | (this.status & STATUS.needsReset);
    if (changed) {
      this.onDriverOk(started);
      this.transport?.started(started);
    }
  }

  /**
   * ACCESS_PLATFORM tells how memory is reached. A driver from before virtio 1.0 has no FEATURES_OK, and with every other subset of what
   * is offered the device works.
   */
  #refuses(status: number): boolean {
    const accepts = (status & STATUS.featuresOk) !== 0 && (this.status & STATUS.featuresOk) === 0;
    if (!accepts || !this.has(F.VERSION_1)) return false;
    return hasFeature(this.offered, F.ACCESS_PLATFORM) && !this.has(F.ACCESS_PLATFORM);
  }

  /** DRIVER_OK changed; features are settled now. */
  protected onDriverOk(_started: boolean): void {
    // Most devices have nothing to settle.
  }

  /** Section 2.2.1: only offered bits can be acknowledged, and none after FEATURES_OK. */
  writeFeatures(value: bigint): void {
    if ((this.status & STATUS.featuresOk) !== 0) return;
    this.acked = value & (this.offered | this.legacyOffered);
  }

  /**
   * What a legacy interface offers beside `offered` (QEMU's `legacy_features`): on a device that is not `modern` as well some
   * devices offer more.
   */
  legacyFeatures(_modern: boolean): bigint {
    return featureSet(F.NOTIFY_ON_EMPTY, F.ANY_LAYOUT, F.BAD_FEATURE);
  }

  /** Section 2.4: everything as after power-on. */
  reset(): void {
    const started = (this.status & STATUS.driverOk) !== 0;
    this.generation++;
    this.status = 0;
    this.acked = 0n;
    this.isr = 0;
    this.error = undefined;
    this.#broken = false;
    this.configVector = NO_VECTOR;
    this.resetDevice();
    for (const queue of this.queues) queue.reset();
    if (started) this.transport?.started(false);
  }

  /** Enables a queue whose registers are set. A queue that cannot be lays the device down (section 4.1.4.3.2). */
  enableQueue(queue: VirtQueueState): void {
    if (queue.enabled) return;
    const at: QueueAddresses = {
      size: queue.size,
      desc: queue.desc,
      driver: queue.driver,
      device: queue.device,
    };
    this.guard(queue, () => {
      if (queue.size > queue.maxSize || queue.size > QUEUE_SIZE_MAX)
        throw broken('virtio.queue-size', queue.size);
      const features = {
        indirect: this.has(F.INDIRECT_DESC),
        eventIdx: this.has(F.EVENT_IDX),
        inOrder: this.has(F.IN_ORDER),
        notifyOnEmpty: this.has(F.NOTIFY_ON_EMPTY),
      };
      const layout = this.has(F.RING_PACKED) ? 'packed' : 'split';
      queue.ring = deviceQueue(layout, this.memory, at, features);
      queue.enabled = true;
    });
  }

  /** Section 2.6.1: one queue as after power-on; its requests in flight are dropped. */
  resetQueue(queue: VirtQueueState): void {
    this.queueDropped(queue);
    queue.reset();
  }

  /** The doorbell of a queue was rung. Rings for queues that are not there, not enabled or of a stopped device are ignored. */
  notify(index: number): void {
    const queue = this.queues[index];
    if (queue?.ring === undefined || this.disabled || this.isBroken || (this.status & STATUS.driverOk) === 0)
      return;
    this.notified(queue);
  }

  /** Runs `work` on a queue; when the driver broke the rules the device stops and asks to be reset. */
  protected guard(queue: VirtQueueState, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.fail(queue, error);
      return false;
    }
  }

  /** The transport saw a rule broken. */
  breakRule(queue: VirtQueueState, error: PlatterError): void {
    this.fail(queue, error);
  }

  /**
   * Section 2.1.2: DEVICE_NEEDS_RESET, and the driver is told when it is up. Drivers from before virtio 1.0 know no such bit: for them
   * the device falls silent (`virtio_error` of hw/virtio/virtio.c).
   */
  protected fail(queue: VirtQueueState, error: unknown): void {
    if (!isRuleError(error)) throw error;
    this.error = error.within({ image: this.name });
    this.#broken = true;
    const legacy = (this.status & STATUS.driverOk) !== 0 && !this.has(F.VERSION_1);
    if (!legacy) this.status |= STATUS.needsReset;
    this.trace.emit(E.virtio_error, 0, queue.index, this.status, 0, 0);
    if (!legacy) this.configChanged();
  }

  /** Section 2.5.1 and 4.1.5.4: the configuration (or the status) changed; the driver is told when it is up. */
  configChanged(): void {
    if ((this.status & STATUS.driverOk) === 0) return;
    this.isr |= 3;
    this.configGeneration = (this.configGeneration + 1) & 0xff;
    this.transport?.configInterrupt();
  }

  /** Which trace id a chain belongs to. */
  protected requestIdOf(queue: VirtQueueState, head: number): number {
    const known = queue.requestOf?.[head] ?? 0;
    return known === 0 ? this.nextRequestId() : known;
  }
}

/** Broken rules of the specification; anything else is a fault of ours and goes up. */
function isRuleError(error: unknown): error is PlatterError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('virtio.');
}
