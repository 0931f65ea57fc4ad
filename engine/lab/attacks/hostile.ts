/**
 * A driver without manners: writes descriptors, ring entries and registers as it likes. It works on a device that the guest has set up
 * and whose queues are empty, and the guest initialises the device again afterwards.
 */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import type { GuestBus } from '../../guest/bus.ts';
import type { GuestQueue } from '../../guest/virtqueue-driver.ts';
import type { AccessSize } from '../../machine/address-space.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { BLK_S } from '../../virtio/blk/protocol.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import {
  AVAIL_IDX,
  AVAIL_RING,
  DESC_F_NEXT,
  DESC_F_WRITE,
  DESC_LEN,
  DESC_SIZE,
  USED_IDX,
} from '../../virtio/queue/layout.ts';
import { DESC_F_AVAIL, PACKED_FLAGS, PACKED_ID } from '../../virtio/queue/packed-layout.ts';
import type { RegisterMap, VirtioRegister } from '../details/registers.ts';

export interface HostileOptions {
  device: VirtioDevice;
  queue: GuestQueue;
  bus: GuestBus;
  registers: RegisterMap;
  /** Guest physical address of memory that nobody else uses. */
  scratch: number;
  /** The PCI slot, or undefined. */
  slot: number | undefined;
  /** Lets device and disk work until nothing is left to do. */
  settle: () => void;
}

/** Bytes of memory that the hostile driver needs. */
export const SCRATCH_BYTES = 64 * 1024;
const SECTOR = 512;
/** What the driver puts where the device answers. */
const UNANSWERED = 0xff;

/** A descriptor as it is written: address, bytes, flags, next. */
export type RawDescriptor = readonly [address: number | bigint, length: number, flags: number, next?: number];

export class Hostile {
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  readonly queue: GuestQueue;
  readonly bus: GuestBus;
  readonly slot: number | undefined;
  /** Where a request's header, data and status byte are put. */
  readonly header: number;
  readonly data: number;
  readonly status: number;
  readonly table: number;
  readonly #o: HostileOptions;
  readonly #usedBefore: number;

  constructor(options: HostileOptions) {
    this.#o = options;
    this.device = options.device;
    this.memory = options.device.memory;
    this.queue = options.queue;
    this.bus = options.bus;
    this.slot = options.slot;
    this.header = options.scratch;
    this.status = options.scratch + 64;
    this.table = options.scratch + 128;
    this.data = options.scratch + 4096;
    this.memory.writeUint(this.status, 1, UNANSWERED);
    this.#usedBefore = this.usedIdx;
  }

  get size(): number {
    return this.queue.ring.addresses.size;
  }
  get usedIdx(): number {
    return this.memory.readUint(this.queue.ring.addresses.device + USED_IDX, 2);
  }
  get availIdx(): number {
    return this.memory.readUint(this.queue.ring.addresses.driver + AVAIL_IDX, 2);
  }

  // ---- descriptors and rings ----

  /** Writes descriptors at `table` (the queue's own by default) from index 0 on. */
  describe(descriptors: readonly RawDescriptor[], table = this.queue.ring.addresses.desc): void {
    descriptors.forEach(([address, length, flags, next = 0], index) => {
      const at = this.memory.require(table + index * DESC_SIZE, DESC_SIZE);
      this.memory.dirty(at, DESC_SIZE);
      const { view } = this.memory;
      view.setBigUint64(at, BigInt(address), true);
      view.setUint32(at + 8, length, true);
      view.setUint16(at + 12, flags, true);
      view.setUint16(at + 14, next, true);
    });
  }

  /** Header, one buffer for data, status: a sound chain from descriptor 0 on, to be spoiled. */
  soundChain(type: number, sector: number | bigint, dataBytes = SECTOR): RawDescriptor[] {
    this.writeHeader(type, sector);
    const fromDevice = (type & 1) === 0;
    return [
      [this.header, 16, DESC_F_NEXT, 1],
      [this.data, dataBytes, DESC_F_NEXT | (fromDevice ? DESC_F_WRITE : 0), 2],
      [this.status, 1, DESC_F_WRITE, 0],
    ];
  }

  writeHeader(type: number, sector: number | bigint): void {
    this.memory.writeUint(this.header, 4, type);
    this.memory.writeUint(this.header + 4, 4, 0);
    const at = this.memory.require(this.header + 8, 8);
    this.memory.view.setBigUint64(at, BigInt(sector), true);
  }

  /** Puts a head into the available ring and moves its index on by `by`. */
  offer(head: number, by = 1): void {
    const { driver } = this.queue.ring.addresses;
    const idx = this.availIdx;
    this.memory.writeUint(driver + AVAIL_RING + (idx & (this.size - 1)) * 2, 2, head);
    this.memory.writeUint(driver + AVAIL_IDX, 2, (idx + by) & 0xffff);
  }

  /**
   * A packed ring that nobody has used yet: makes the descriptors available from its beginning on, rings, and lets the device work.
   * `next` of each is its buffer id (virtio 1.2, section 2.8.13).
   */
  submitPacked(descriptors: readonly RawDescriptor[]): void {
    const { desc } = this.queue.ring.addresses;
    descriptors.forEach(([address, length, flags, id = 0], index) => {
      const at = this.memory.require(desc + index * DESC_SIZE, DESC_SIZE);
      this.memory.dirty(at, DESC_SIZE);
      const { view } = this.memory;
      view.setBigUint64(at, BigInt(address), true);
      view.setUint32(at + DESC_LEN, length, true);
      view.setUint16(at + PACKED_ID, id, true);
      view.setUint16(at + PACKED_FLAGS, flags | DESC_F_AVAIL, true);
    });
    this.ring();
    this.settle();
  }

  /** Rings the doorbell; the device has not begun yet. */
  ring(): void {
    const { port, address, size } = this.queue.doorbell;
    if (port) this.bus.out(address, size, this.queue.index);
    else this.bus.write(address, size, this.queue.index);
  }

  /** Offers descriptors from index 0 on as one chain, rings, and lets the device work. */
  submit(descriptors: readonly RawDescriptor[]): void {
    this.describe(descriptors);
    this.offer(0);
    this.ring();
    this.settle();
  }

  settle(): void {
    this.#o.settle();
  }

  // ---- registers ----

  /** Writes a register of the transport. False when it has none. */
  write(register: VirtioRegister, size: AccessSize, value: number): boolean {
    const address = this.#addressOf(register);
    if (address === undefined) return false;
    const { interface: by } = this.#o.registers;
    if (by === 'legacy') this.bus.out(address, size, value);
    else this.bus.write(address, by === 'mmio' ? 4 : size, value);
    return true;
  }
  /** Reads a register of the transport; -1 when it has none. */
  read(register: VirtioRegister, size: AccessSize): number {
    const address = this.#addressOf(register);
    if (address === undefined) return -1;
    const { interface: by } = this.#o.registers;
    return by === 'legacy' ? this.bus.in(address, size) : this.bus.read(address, by === 'mmio' ? 4 : size);
  }
  #addressOf(register: VirtioRegister): number | undefined {
    const place = this.#o.registers.place(register);
    return place !== null && 'address' in place ? (place.address ?? undefined) : undefined;
  }

  // ---- what came of it ----

  /** The request's status byte, or null while it is unanswered. */
  get answer(): number | null {
    const found = this.memory.readUint(this.status, 1);
    return found === UNANSWERED ? null : found;
  }

  get outcome(): AttackOutcome {
    if (this.device.isBroken) return 'needs-reset';
    const { answer } = this;
    if (answer !== null) return answer === BLK_S.ok ? 'served' : 'error';
    return this.usedIdx === this.#usedBefore ? 'ignored' : 'served';
  }
}
