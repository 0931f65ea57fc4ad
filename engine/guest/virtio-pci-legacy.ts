/**
 * The driver of the legacy PCI interface, as Linux's virtio_pci_legacy.c: registers in I/O space, no FEATURES_OK, queues at page
 * numbers (virtio 1.2, sections 4.1.4.8 and 4.1.5.1.3).
 */
import { PCI } from '../machine/pci/function.ts';
import type { AccessSize } from '../machine/address-space.ts';
import { hasFeature, NO_VECTOR, STATUS } from '../virtio/features.ts';
import type { QueueAddresses } from '../virtio/queue/queue.ts';
import { LEGACY } from '../virtio/transport/legacy-header.ts';
import { CAP_MSIX } from '../virtio/transport/pci-layout.ts';
import type { FunctionVectors } from './apic-vectors.ts';
import type { GuestBus } from './bus.ts';
import { MsixTable } from './msix-table.ts';
import type { RegisterAt, VirtioTransportDriver } from './virtio-transport.ts';

const PAGE = 4096;
/** The device's configuration begins behind the two vectors, which are there only with MSI-X. */
const CONFIG_AT = { withMsix: 24, without: 20 } as const;

export class VirtioPciLegacyDriver implements VirtioTransportDriver {
  features = 0n;
  readonly usedAlign = PAGE;
  readonly ack = undefined;
  readonly slot: number;
  readonly bus: GuestBus;
  readonly #vectors: FunctionVectors;
  #base = 0;
  #msix: MsixTable | undefined;
  #msixOn = false;

  constructor(bus: GuestBus, slot: number, vectors: FunctionVectors) {
    this.bus = bus;
    this.slot = slot;
    this.#vectors = vectors;
  }

  find(): void {
    const { bus, slot } = this;
    this.#base = bus.configRead(slot, PCI.bar0, 4) & ~3;
    let at = bus.configRead(slot, PCI.capabilities, 1);
    for (let left = 48; at !== 0 && left > 0; left--) {
      if (bus.configRead(slot, at, 1) === CAP_MSIX) this.#msix = new MsixTable(bus, slot, at);
      at = bus.configRead(slot, at + 1, 1);
    }
  }

  #read(register: number, size: AccessSize): number {
    return this.bus.in(this.#base + register, size);
  }
  #write(register: number, size: AccessSize, value: number): void {
    this.bus.out(this.#base + register, size, value);
  }

  negotiate(wanted: bigint): void {
    this.#write(LEGACY.status, 1, 0);
    this.#write(LEGACY.status, 1, STATUS.acknowledge);
    this.#write(LEGACY.status, 1, STATUS.acknowledge | STATUS.driver);
    this.features = BigInt(this.#read(LEGACY.deviceFeatures, 4)) & wanted;
    this.#write(LEGACY.driverFeatures, 4, Number(this.features));
  }

  has(feature: number): boolean {
    return hasFeature(this.features, feature);
  }

  config(offset: number, size: AccessSize): number {
    return this.#read((this.#msixOn ? CONFIG_AT.withMsix : CONFIG_AT.without) + offset, size);
  }

  queueSize(index: number): number {
    this.#write(LEGACY.queueSelect, 2, index);
    return this.#read(LEGACY.queueSize, 2);
  }

  setUpQueue(index: number, at: QueueAddresses): RegisterAt {
    this.#write(LEGACY.queueSelect, 2, index);
    this.#write(LEGACY.queueAddress, 4, at.desc / PAGE);
    if (this.#msix !== undefined) this.#write(LEGACY.queueVector, 2, this.#msix.entryOf(index));
    return { port: true, address: this.#base + LEGACY.queueNotify, size: 2 };
  }

  enableMsix(cpuOf: (queue: number) => number): void {
    if (this.#msix === undefined) return;
    this.#msix.enable(cpuOf, this.#vectors);
    this.#msixOn = true;
    this.#write(LEGACY.configVector, 2, 0);
    if (this.#read(LEGACY.configVector, 2) === NO_VECTOR) this.#msix = undefined;
  }

  get hasMessages(): boolean {
    return this.#msix !== undefined;
  }

  isFor(queue: number, cpu: number, vector: number): boolean {
    return this.#msix?.isFor(queue, cpu, vector) ?? false;
  }

  driverOk(): void {
    this.#write(LEGACY.status, 1, this.#read(LEGACY.status, 1) | STATUS.driverOk);
  }

  /** Reading it acknowledges an INTx interrupt. */
  get isr(): RegisterAt {
    return { port: true, address: this.#base + LEGACY.isr, size: 1 };
  }
}
