/** A driver's transport (Linux's `struct virtio_config_ops`): what virtio drivers need, whatever the device sits on. */
import type { AccessSize } from '../machine/address-space.ts';
import type { QueueAddresses } from '../virtio/queue/queue.ts';

/** One register of the device. */
export interface RegisterAt {
  /** In I/O space rather than in memory. */
  readonly port: boolean;
  readonly address: number;
  readonly size: AccessSize;
}

export interface VirtioTransportDriver {
  /** The features that were agreed on. */
  readonly features: bigint;
  /** Boundary on which the used ring of a queue begins, bytes. */
  readonly usedAlign: number;
  /** Tells why the device interrupts, when the interrupt itself does not. */
  readonly isr: RegisterAt;
  /** Where what `isr` said must be written back; reading it is enough otherwise. */
  readonly ack: RegisterAt | undefined;
  /** Finds the device's registers. Throws `guest.no-virtio`. */
  find(): void;
  /** Section 3.1.1, steps 1–6. `wanted`: what the driver understands. Throws `guest.features-refused`, `guest.reset-hangs`. */
  negotiate(wanted: bigint): void;
  has(feature: number): boolean;
  /** The device's own configuration. */
  config(offset: number, size: AccessSize): number;
  /** The size that a queue gets, 0 when there is none. */
  queueSize(index: number): number;
  /** Sets a queue up. Answers its doorbell, to which the queue's number is written. */
  setUpQueue(index: number, at: QueueAddresses): RegisterAt;
  /** Turns on messages, when the device has them; `cpuOf` says which CPU a queue's interrupts go to. */
  enableMsix(cpuOf: (queue: number) => number): void;
  /** Whether it interrupts by messages, and not by its line. */
  readonly hasMessages: boolean;
  /** Whether the vector of this CPU's local APIC is the one of the queue. */
  isFor(queue: number, cpu: number, vector: number): boolean;
  driverOk(): void;
}
