/**
 * The driver of the modern PCI transport, as Linux's virtio_pci (drivers/virtio/virtio_pci_modern.c): finds the structures by the
 * capabilities, resets, negotiates, sets up queues and MSI-X vectors (virtio 1.2, sections 3.1.1 and 4.1.4).
 */
import { PlatterError } from '../errors.ts';
import { F, featureSet, hasFeature, NO_VECTOR, STATUS } from '../virtio/features.ts';
import type { QueueAddresses } from '../virtio/queue/queue.ts';
import { CAP, CAP_MSIX, CAP_VENDOR, CFG, COMMON } from '../virtio/transport/pci-layout.ts';
import { PCI } from '../machine/pci/function.ts';
import type { GuestBus } from './bus.ts';

/** Local APIC of CPU 0 (bits 12–19 say which CPU), and the first vector that Linux hands out on each. */
const APIC_ADDRESS = 0xfee0_0000;
const APIC_SHIFT = 12;
const FIRST_APIC_VECTOR = 0x31;
/** Vectors of one CPU that are left for devices. */
const APIC_VECTORS = 0xee - FIRST_APIC_VECTOR;

export class VirtioPciDriver {
  readonly slot: number;
  readonly bus: GuestBus;
  features = 0n;
  /** MSI-X entries that are in use; 0 when the device interrupts by INTx. */
  vectors = 0;
  #common = 0;
  #notify = 0;
  #isr = 0;
  #config = 0;
  #multiplier = 0;
  #msixTable = 0;
  #msixCap = 0;
  /** For each MSI-X entry the CPU that it goes to and the vector of that CPU's local APIC. */
  readonly #targets: { cpu: number; vector: number }[] = [];

  constructor(bus: GuestBus, slot: number) {
    this.bus = bus;
    this.slot = slot;
  }

  /** Walks the capability list. Throws `guest.no-virtio` when the common, notify or ISR structure is missing. */
  find(): void {
    const { bus, slot } = this;
    let at = bus.configRead(slot, PCI.capabilities, 1);
    for (let left = 48; at !== 0 && left > 0; left--) {
      const id = bus.configRead(slot, at, 1);
      if (id === CAP_VENDOR) this.#structure(at);
      if (id === CAP_MSIX) this.#msix(at);
      at = bus.configRead(slot, at + 1, 1);
    }
    if (this.#common === 0 || this.#notify === 0 || this.#isr === 0) {
      throw new PlatterError('guest.no-virtio', `PCI slot ${slot} has no complete set of virtio structures`, {
        field: 'virtio_pci_cap',
        value: String(slot),
      });
    }
  }

  #bar(index: number): number {
    const low = this.bus.configRead(this.slot, PCI.bar0 + index * 4, 4);
    const high = (low & 6) === 4 ? this.bus.configRead(this.slot, PCI.bar0 + index * 4 + 4, 4) : 0;
    return ((low & ~15) >>> 0) + high * 0x1_0000_0000;
  }

  #structure(at: number): void {
    const { bus, slot } = this;
    const type = bus.configRead(slot, at + CAP.type, 1);
    if (type < CFG.common || type > CFG.device) return;
    const base = this.#bar(bus.configRead(slot, at + CAP.bar, 1)) + bus.configRead(slot, at + CAP.offset, 4);
    if (type === CFG.common) this.#common = base;
    else if (type === CFG.isr) this.#isr = base;
    else if (type === CFG.device) this.#config = base;
    else {
      this.#notify = base;
      this.#multiplier = bus.configRead(slot, at + CAP.multiplier, 4);
    }
  }

  #msix(at: number): void {
    const table = this.bus.configRead(this.slot, at + 4, 4);
    this.vectors = (this.bus.configRead(this.slot, at + 2, 2) & 0x7ff) + 1;
    this.#msixTable = this.#bar(table & 7) + ((table & ~7) >>> 0);
    this.#msixCap = at;
  }

  #write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.bus.write(this.#common + offset, size, value);
  }
  #read(offset: number, size: 1 | 2 | 4): number {
    return this.bus.read(this.#common + offset, size);
  }
  #status(bits: number): void {
    this.#write(COMMON.status, 1, this.#read(COMMON.status, 1) | bits);
  }

  /** Section 3.1.1, steps 1–6. `wanted`: what the driver understands. Throws `guest.features-refused`. */
  negotiate(wanted: bigint): void {
    this.#write(COMMON.status, 1, 0);
    for (let tries = 0; this.#read(COMMON.status, 1) !== 0; tries++) {
      if (tries > 1000) throw new PlatterError('guest.reset-hangs', 'the device does not finish its reset');
    }
    this.#status(STATUS.acknowledge);
    this.#status(STATUS.driver);
    this.features = this.#offered() & (wanted | featureSet(F.VERSION_1));
    for (const half of [0, 1]) {
      this.#write(COMMON.driverFeatureSelect, 4, half);
      this.#write(COMMON.driverFeature, 4, Number((this.features >> BigInt(half * 32)) & 0xffff_ffffn));
    }
    this.#status(STATUS.featuresOk);
    if ((this.#read(COMMON.status, 1) & STATUS.featuresOk) === 0) {
      throw new PlatterError(
        'guest.features-refused',
        'the device refused the features that the driver chose',
        {
          field: 'device_status',
          value: `0x${this.features.toString(16)}`,
        },
      );
    }
  }

  #offered(): bigint {
    let offered = 0n;
    for (const half of [0, 1]) {
      this.#write(COMMON.deviceFeatureSelect, 4, half);
      offered |= BigInt(this.#read(COMMON.deviceFeature, 4)) << BigInt(half * 32);
    }
    return offered;
  }

  has(feature: number): boolean {
    return hasFeature(this.features, feature);
  }

  /** The device's own configuration. */
  config(offset: number, size: 1 | 2 | 4): number {
    return this.bus.read(this.#config + offset, size);
  }

  /** The size that the device offers for a queue, 0 when there is none. */
  queueSize(index: number): number {
    this.#write(COMMON.queueSelect, 2, index);
    return this.#read(COMMON.queueSize, 2);
  }

  /** Section 4.1.5.1.3: sets a queue up and enables it. Answers its doorbell's guest physical address. */
  setUpQueue(index: number, at: QueueAddresses): number {
    this.#write(COMMON.queueSelect, 2, index);
    this.#write(COMMON.queueSize, 2, at.size);
    const parts = [
      [COMMON.queueDesc, at.desc],
      [COMMON.queueDriver, at.driver],
      [COMMON.queueDevice, at.device],
    ];
    for (const [register, address] of parts) {
      this.#write(register, 4, address >>> 0);
      this.#write(register + 4, 4, Math.floor(address / 0x1_0000_0000));
    }
    if (this.vectors > 0) this.#write(COMMON.queueVector, 2, this.vectorOf(index));
    const offset = this.#read(COMMON.queueNotifyOff, 2);
    this.#write(COMMON.queueEnable, 2, 1);
    return this.#notify + offset * this.#multiplier;
  }

  /** The MSI-X entry of a queue: its own when there are enough, else one for all. */
  vectorOf(queue: number): number {
    return queue + 1 < this.vectors ? queue + 1 : this.vectors - 1;
  }

  /** Whether the local APIC's vector on this CPU is the one of the queue's MSI-X entry. */
  isFor(queue: number, cpu: number, vector: number): boolean {
    const target = this.#targets[this.vectorOf(queue)];
    return target?.cpu === cpu && target.vector === vector;
  }

  /**
   * Section 4.1.5.1.2: fills the MSI-X table and turns it on; entry 0 is for the configuration. `cpuOf` says which CPU a queue's
   * interrupts go to; a shared entry goes to CPU 0.
   */
  enableMsix(cpuOf: (queue: number) => number = () => 0): void {
    if (this.vectors === 0) return;
    const used: number[] = [];
    for (let entry = 0; entry < this.vectors; entry++) {
      const cpu = entry === 0 || this.vectors < 3 ? 0 : cpuOf(entry - 1);
      const vector = FIRST_APIC_VECTOR + ((used[cpu] ??= 0) % APIC_VECTORS);
      used[cpu]++;
      this.#targets[entry] = { cpu, vector };
      const at = this.#msixTable + entry * 16;
      this.bus.write(at, 4, APIC_ADDRESS + cpu * 2 ** APIC_SHIFT);
      this.bus.write(at + 4, 4, 0);
      this.bus.write(at + 8, 4, vector);
      this.bus.write(at + 12, 4, 0);
    }
    this.bus.configWrite(this.slot, this.#msixCap + 2, 2, 0x8000 | (this.vectors - 1));
    this.#write(COMMON.configVector, 2, 0);
    if (this.#read(COMMON.configVector, 2) === NO_VECTOR) this.vectors = 0;
  }

  driverOk(): void {
    this.#status(STATUS.driverOk);
  }

  /** Section 4.1.5.3: reading it acknowledges an INTx interrupt. */
  get isrAddress(): number {
    return this.#isr;
  }
}
