/**
 * The way of an answered chain back to the driver, the same for every device: used element, index, the question whether the driver wants
 * to hear of it, and the interrupt. One event a step.
 */
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { VirtioDevice, VirtQueueState } from './device.ts';
import type { QueueElement } from './queue/element.ts';

/** What follows a step. */
export const AFTER = { more: 0, nothing: 1, interrupt: 2 } as const;

const FILL = 0;
const FLUSH = 1;
const ASK = 2;

export class GiveBack {
  readonly #device: VirtioDevice;
  readonly #trace: TraceRing;
  /** The interrupt takes an irqfd, not QEMU's thread. */
  readonly #irqfd: boolean;
  #phase = FILL;
  #queue!: VirtQueueState;
  #element!: QueueElement;
  #requestId = 0;
  #written = 0;

  constructor(device: VirtioDevice, irqfd: boolean) {
    this.#device = device;
    // As it is now: who models another server of the ring has its steps renamed (vhost/trace.ts).
    this.#trace = device.trace;
    this.#irqfd = irqfd;
  }

  /** Begins with a chain. `written`: bytes that the device has written into it. */
  begin(queue: VirtQueueState, element: QueueElement, requestId: number, written: number): void {
    this.#phase = FILL;
    this.#queue = queue;
    this.#element = element;
    this.#requestId = requestId;
    this.#written = written;
  }

  /** Does the next thing. Answers one of `AFTER`. */
  step(): number {
    if (this.#phase === FILL) {
      this.#fill();
      this.#phase = FLUSH;
      return AFTER.more;
    }
    if (this.#phase === FLUSH) {
      this.#flush();
      this.#phase = ASK;
      return AFTER.more;
    }
    return this.#ask();
  }

  /** Does everything up to the interrupt. Answers one of `AFTER`. */
  atOnce(): number {
    this.#fill();
    this.#flush();
    return this.#ask();
  }

  /** Interrupts for the chain that was given back last. */
  interrupt(): void {
    this.tell(this.#queue, this.#requestId);
  }
  /** Interrupts for a chain that was given back in another way. */
  tell(queue: VirtQueueState, requestId: number): void {
    this.#device.transport?.queueInterrupt(queue, requestId, this.#irqfd);
  }

  #fill(): void {
    const { ring, index } = this.#queue;
    const idx = ring?.usedIdx ?? 0;
    ring?.fill(this.#element, this.#written);
    this.#emit(E.virtqueue_fill, index, this.#element.head, this.#written, idx);
  }

  #flush(): void {
    const { ring, index } = this.#queue;
    this.#emit(E.virtqueue_flush, index, ring?.flush() ?? 0);
  }

  #ask(): number {
    const { ring, index } = this.#queue;
    if (ring?.shouldNotify() !== true) {
      this.#emit(E.virtio_should_notify, index);
      return AFTER.nothing;
    }
    this.#emit(this.#irqfd ? E.virtio_notify_irqfd : E.virtio_notify, index);
    this.#device.isr |= 1;
    return AFTER.interrupt;
  }

  #emit(event: number, queue: number, b = 0, c = 0, d = 0): void {
    this.#trace.emit(event, this.#requestId, queue, b, c, d);
  }
}
