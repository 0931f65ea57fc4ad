/** What a device sees of a virtqueue, whatever its layout. */
import type { QueueElement } from './element.ts';
import type { PlainChain } from './plain.ts';

/** Where the driver put a queue. */
export interface QueueAddresses {
  /** Entries. */
  size: number;
  /**
   * Guest physical addresses of the descriptor area, the driver area (available ring, or driver event suppression) and the device
   * area (used ring, or device event suppression).
   */
  desc: number;
  driver: number;
  device: number;
}

export interface QueueFeatures {
  /** VIRTIO_F_INDIRECT_DESC. */
  indirect: boolean;
  /** VIRTIO_F_EVENT_IDX. */
  eventIdx: boolean;
  /** VIRTIO_F_IN_ORDER: chains are given back in the order in which they were made available. */
  inOrder?: boolean;
  /** VIRTIO_F_NOTIFY_ON_EMPTY of legacy devices: an interrupt when the ring runs empty, wanted or not. */
  notifyOnEmpty?: boolean;
}

export interface DeviceQueue {
  readonly layout: 'split' | 'packed';
  readonly size: number;
  /** Descriptors (packed) or chains (split) taken and not yet given back. */
  readonly inFlight: number;
  /** Where the device looks next: an index into the available ring modulo 2^16, or the next descriptor of a packed ring. */
  readonly lastAvailIdx: number;
  /** Where the next used element goes, counted in the same way. */
  readonly usedIdx: number;
  /** The next chain, or null when the driver has offered none. Throws what errors.ts lists. */
  pop(): QueueElement | null;
  /** Gives a chain back with the number of bytes written into it. Not visible to the driver before `flush`. */
  fill(element: QueueElement, written: number): void;
  /** Publishes what was filled; answers how many. */
  flush(): number;
  /** Whether the driver wants to be interrupted for what was flushed since the last time it was asked. */
  shouldNotify(): boolean;
  /** Asks the driver to notify (true) or not to bother (false). Answers whether chains are waiting already. */
  setNotification(wanted: boolean): boolean;
  /** Forgets everything in flight: the queue or its device is reset. */
  drop(): void;
  /** Takes the next chain if there is one and it is plain; false, and nothing has happened, otherwise: then `pop`. Never throws. */
  popPlain(chain: PlainChain): boolean;
  /** The element of a chain that `popPlain` took, for going on the long way. */
  adopt(chain: PlainChain): QueueElement;
  /** What `fill`, `flush` and `shouldNotify` do, for a chain that `popPlain` took. */
  completePlain(chain: PlainChain, written: number): boolean;
}

/** The driver's half, whatever the layout. Chains are built in three steps, without allocating: `begin`, `add` …, `commit`. */
export interface DriverQueue {
  readonly layout: 'split' | 'packed';
  readonly addresses: QueueAddresses;
  /** Free descriptors. */
  readonly free: number;
  /** What the last `take` found: the chain's head (split) or buffer id (packed), and the bytes that the device wrote. */
  readonly usedHead: number;
  readonly usedLength: number;
  /** Where the driver looks for the next used element. */
  readonly lastUsedIdx: number;
  /** Where the next chain goes. */
  readonly availIdx: number;
  /** The request by head or buffer id, 0 when free: for the trace and the screen. */
  readonly requestOf: Uint32Array;
  /** The head or id that the chain begun last will have. */
  readonly nextHead: number;
  readonly hasUsed: boolean;
  /** Begins a chain of `count` buffers for request `requestId`. False when there are not enough free descriptors. */
  begin(count: number, requestId?: number): boolean;
  /** Adds one buffer: guest physical address and bytes; device-readable ones first. */
  add(address: number, length: number, writable: boolean): void;
  /** Ends the chain, which must have all its buffers, and makes it available to the device. Answers its head or id. */
  commit(): number;
  /** Whether the device wants to hear of what was committed since the last kick. */
  kick(): boolean;
  /**
   * With VIRTIO_F_NOTIFICATION_DATA (section 4.1.5.2.1): the 32 bits that are written into the doorbell of queue `index`, which tell
   * where the next chain will go.
   */
  notificationData(index: number): number;
  /** Takes the next used element; false when there is none. Throws `virtio.used-id` for one that the device does not hold. */
  take(): boolean;
  /** Asks for interrupts, or for none. Answers whether used elements are waiting already. */
  setInterrupts(wanted: boolean): boolean;
}
