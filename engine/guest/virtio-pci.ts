/**
 * The driver of the modern PCI transport, as Linux's virtio_pci (drivers/virtio/virtio_pci_modern.c): finds the structures by the
 * capabilities, resets, negotiates, sets up queues and MSI-X vectors (virtio 1.2, sections 3.1.1 and 4.1.4).
 */
import { PlatterError } from '../errors.ts';
import { F, featureSet, hasFeature, NO_VECTOR, STATUS } from '../virtio/features.ts';
import type { QueueAddresses } from '../virtio/queue/queue.ts';
import { CAP, CAP_MSIX, CAP_VENDOR, CFG, COMMON } from '../virtio/transport/pci-layout.ts';
import { PCI } from '../machine/pci/function.ts';
import type { FunctionVectors } from './apic-vectors.ts';
import type { GuestBus } from './bus.ts';
import { barAddress, MsixTable } from './msix-table.ts';
import type { RegisterAt, VirtioTransportDriver } from './virtio-transport.ts';

export class VirtioPciDriver implements VirtioTransportDriver {
  readonly usedAlign = 4;
  readonly ack = undefined;
  readonly slot: number;
  readonly bus: GuestBus;
  readonly #vectors: FunctionVectors;
  features = 0n;
  #common = 0;
  #notify = 0;
  #isr = 0;
  #config = 0;
  #multiplier = 0;
  #msix: MsixTable | undefined;

  constructor(bus: GuestBus, slot: number, vectors: FunctionVectors) {
    this.bus = bus;
    this.slot = slot;
    this.#vectors = vectors;
  }

  /** Walks the capability list. Throws `guest.no-virtio` when the common, notify or ISR structure is missing. */
  find(): void {
    const { bus, slot } = this;
    let at = bus.configRead(slot, PCI.capabilities, 1);
    for (let left = 48; at !== 0 && left > 0; left--) {
      const id = bus.configRead(slot, at, 1);
      if (id === CAP_VENDOR) this.#structure(at);
      if (id === CAP_MSIX) this.#msix = new MsixTable(bus, slot, at);
      at = bus.configRead(slot, at + 1, 1);
    }
    if (this.#common === 0 || this.#notify === 0 || this.#isr === 0) {
      throw new PlatterError('guest.no-virtio', `PCI slot ${slot} has no complete set of virtio structures`, {
        field: 'virtio_pci_cap',
        value: String(slot),
      });
    }
  }

  #structure(at: number): void {
    const { bus, slot } = this;
    const type = bus.configRead(slot, at + CAP.type, 1);
    if (type < CFG.common || type > CFG.device) return;
    const base =
      barAddress(bus, slot, bus.configRead(slot, at + CAP.bar, 1)) + bus.configRead(slot, at + CAP.offset, 4);
    if (type === CFG.common) this.#common = base;
    else if (type === CFG.isr) this.#isr = base;
    else if (type === CFG.device) this.#config = base;
    else {
      this.#notify = base;
      this.#multiplier = bus.configRead(slot, at + CAP.multiplier, 4);
    }
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
  setUpQueue(index: number, at: QueueAddresses): RegisterAt {
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
    if (this.#msix !== undefined) this.#write(COMMON.queueVector, 2, this.#msix.entryOf(index));
    const offset = this.#read(COMMON.queueNotifyOff, 2);
    this.#write(COMMON.queueEnable, 2, 1);
    return { port: false, address: this.#notify + offset * this.#multiplier, size: 2 };
  }

  get hasMessages(): boolean {
    return this.#msix !== undefined;
  }

  isFor(queue: number, cpu: number, vector: number): boolean {
    return this.#msix?.isFor(queue, cpu, vector) ?? false;
  }

  enableMsix(cpuOf: (queue: number) => number): void {
    this.#msix?.enable(cpuOf, this.#vectors);
    if (this.#msix === undefined) return;
    this.#write(COMMON.configVector, 2, 0);
    if (this.#read(COMMON.configVector, 2) === NO_VECTOR) this.#msix = undefined;
  }

  driverOk(): void {
    this.#status(STATUS.driverOk);
  }

  /** Section 4.1.5.3: reading it acknowledges an INTx interrupt. */
  get isr(): RegisterAt {
    return { port: false, address: this.#isr, size: 1 };
  }
}
