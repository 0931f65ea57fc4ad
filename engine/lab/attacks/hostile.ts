/**
 * A driver without manners: writes descriptors, ring entries and registers as it likes. It works on a virtio device that the guest has set
 * up and whose queues are empty, and the guest initialises the device again afterwards.
 */
import type { AttackAnswer, AttackOutcome } from '#contract/lab-attacks.ts';
import type { PlatterError } from '../../errors.ts';
import type { GuestBus } from '../../guest/bus.ts';
import { VirtioScsiDriver } from '../../guest/virtio-scsi.ts';
import type { GuestQueue, VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import type { AccessSize } from '../../machine/address-space.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import { formatArg } from '../../trace/format.ts';
import { STATUS } from '../../virtio/features.ts';
import { BLK_S } from '../../virtio/blk/protocol.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { DESC_F_NEXT, DESC_F_WRITE } from '../../virtio/queue/layout.ts';
import type { RegisterMap, VirtioRegister } from '../details/registers.ts';
import type { HostileDriver } from './attack.ts';
import { RawRing, writeTable, type RawDescriptor } from './raw-ring.ts';
import { ScsiSlot, type HostileCommand } from './scsi-slot.ts';

export interface HostileOptions {
  device: VirtioDevice;
  driver: VirtqueueDriver;
  /** The number of the disk at the driver. */
  unit: number;
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

export class Hostile implements HostileDriver {
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  readonly bus: GuestBus;
  readonly slot: number | undefined;
  /** The first request queue, as the guest's driver set it up. */
  readonly queue: GuestQueue;
  readonly requests: RawRing;
  /** Where a request's header, data and status byte are put. */
  readonly header: number;
  readonly data: number;
  readonly status: number;
  readonly table: number;
  readonly #o: HostileOptions;
  readonly #scsi: ScsiSlot;

  constructor(options: HostileOptions) {
    this.#o = options;
    this.device = options.device;
    this.memory = options.device.memory;
    [this.queue] = options.driver.queues;
    this.bus = options.bus;
    this.slot = options.slot;
    this.header = options.scratch;
    this.status = options.scratch + 64;
    this.table = options.scratch + 512;
    this.data = options.scratch + 4096;
    this.#scsi = new ScsiSlot(this.memory, options.scratch + 256);
    this.memory.writeUint(this.status, 1, UNANSWERED);
    this.requests = this.rawRing(this.queue);
  }

  // ---- descriptors and rings ----

  /** Any of the driver's queues, by descriptors instead of the driver's own half. */
  rawRing({ index, doorbell }: Pick<GuestQueue, 'index' | 'doorbell'>): RawRing {
    return new RawRing(this.device, index, () => {
      if (doorbell.port) this.bus.out(doorbell.address, doorbell.size, index);
      else this.bus.write(doorbell.address, doorbell.size, index);
    });
  }

  /** Writes an indirect table at `table`, in the layout of the device's rings. */
  describeTable(descriptors: readonly RawDescriptor[]): void {
    writeTable(this.memory, this.requests.layout, descriptors, this.table);
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

  /** Offers descriptors from index 0 on as one chain, rings, and lets the device work. */
  submit(descriptors: readonly RawDescriptor[], ring = this.requests): void {
    ring.offerChain(descriptors);
    ring.kick();
    this.settle();
  }

  settle(): void {
    this.#o.settle();
  }

  // ---- SCSI ----

  get #scsiDriver(): VirtioScsiDriver {
    const { driver } = this.#o;
    if (driver instanceof VirtioScsiDriver) return driver;
    throw new TypeError('a SCSI command for a device that is no SCSI host');
  }
  get control(): GuestQueue {
    return this.#scsiDriver.control;
  }
  get events(): GuestQueue {
    return this.#scsiDriver.events;
  }
  /** Target and logical unit of the disk. */
  get place(): { target: number; lun: number } {
    return this.#scsiDriver.disks[this.#o.unit];
  }
  /** Bytes of a logical block of the disk. */
  get blockSize(): number {
    return this.#scsiDriver.disks[this.#o.unit].blockSize;
  }

  /** Offers a SCSI command without ringing. */
  offerCommand(cdb: readonly number[], more: HostileCommand = {}, ring = this.requests): void {
    ring.offerChain(this.#scsi.chain(cdb, { ...this.place, data: this.data, ...more }));
  }
  /** Changes the CDB of the command that was offered, in memory. */
  rewriteCommand(cdb: readonly number[]): void {
    this.#scsi.rewrite(cdb);
  }
  /** One SCSI command to its end, whatever that is. */
  command(cdb: readonly number[], more: HostileCommand = {}): void {
    // Another one may have gone before.
    const ring = this.rawRing(this.queue);
    this.offerCommand(cdb, more, ring);
    ring.kick();
    this.settle();
  }

  // ---- registers ----

  /** Writes a register of the transport, `offset` bytes into it. False when it has none. */
  write(register: VirtioRegister, size: AccessSize, value: number, offset = 0): boolean {
    const address = this.#addressOf(register, offset);
    if (address === undefined) return false;
    if (this.#o.registers.interface === 'legacy') this.bus.out(address, size, value);
    else this.bus.write(address, this.#width(register, size), value);
    return true;
  }
  /** Reads a register of the transport; -1 when it has none. */
  read(register: VirtioRegister, size: AccessSize): number {
    const address = this.#addressOf(register, 0);
    if (address === undefined) return -1;
    if (this.#o.registers.interface === 'legacy') return this.bus.in(address, size);
    return this.bus.read(address, this.#width(register, size));
  }
  /** virtio 1.2, section 4.2.2: registers of MMIO are four bytes wide, but those of the device's configuration. */
  #width(register: VirtioRegister, size: AccessSize): AccessSize {
    const mmio = this.#o.registers.interface.startsWith('mmio');
    return mmio && register !== 'config' ? 4 : size;
  }
  #addressOf(register: VirtioRegister, offset: number): number | undefined {
    const place = this.#o.registers.place(register, offset);
    return place !== null && 'address' in place ? (place.address ?? undefined) : undefined;
  }

  // ---- what came of it ----

  /** The request's status byte, or a SCSI request's response; null while it is unanswered. */
  get answer(): number | null {
    const found = this.memory.readUint(this.#scsi.used ? this.#scsi.responseAt : this.status, 1);
    return found === UNANSWERED ? null : found;
  }
  /** Chains of the request queue that were given back since the attack began. */
  get used(): number {
    return this.requests.used;
  }
  get error(): PlatterError | undefined {
    return this.device.error;
  }

  get outcome(): AttackOutcome {
    const { isBroken, status } = this.device;
    if (isBroken) return (status & STATUS.needsReset) === 0 ? 'silent' : 'needs-reset';
    const { answer } = this;
    if (answer !== null) return answer === BLK_S.ok && this.#scsi.good ? 'served' : 'error';
    return this.used === 0 ? 'ignored' : 'served';
  }

  get answers(): readonly AttackAnswer[] {
    const { status } = this.device;
    const { answer } = this;
    const device = {
      name: 'device_status',
      value: status,
      digits: 2,
      words: formatArg('device-status', status),
    };
    if (this.#scsi.used) return [device, ...this.#scsi.answers];
    if (answer === null) return [device];
    return [device, { name: 'status', value: answer, digits: 2, words: this.#statusWord(answer) }];
  }

  #statusWord(answer: number): string {
    return formatArg(this.#o.driver instanceof VirtioScsiDriver ? 'scsi-response' : 'blk-status', answer);
  }
}
