/**
 * The driver of the MMIO transport, as Linux's virtio_mmio.c: one page of registers at an address that the machine's description tells,
 * one interrupt line; version 2 and the legacy version 1 (virtio 1.2, sections 4.2.3 and 4.2.4).
 */
import { PlatterError } from '../errors.ts';
import type { AccessSize } from '../machine/address-space.ts';
import { F, featureSet, hasFeature, STATUS } from '../virtio/features.ts';
import type { QueueAddresses } from '../virtio/queue/queue.ts';
import { MMIO, MMIO_MAGIC } from '../virtio/transport/mmio-layout.ts';
import type { GuestBus } from './bus.ts';
import type { RegisterAt, VirtioTransportDriver } from './virtio-transport.ts';

const PAGE = 4096;
/** Linux takes as many entries as the device offers; the simulated guest is content with QEMU's default. */
const QUEUE_SIZE = 256;

export class VirtioMmioDriver implements VirtioTransportDriver {
  features = 0n;
  readonly bus: GuestBus;
  readonly base: number;
  #version = 0;

  constructor(bus: GuestBus, base: number) {
    this.bus = bus;
    this.base = base;
  }

  get usedAlign(): number {
    return this.#version === 1 ? PAGE : 4;
  }
  get isr(): RegisterAt {
    return { port: false, address: this.base + MMIO.interruptStatus, size: 4 };
  }
  get ack(): RegisterAt {
    return { port: false, address: this.base + MMIO.interruptAck, size: 4 };
  }

  #read(register: number): number {
    return this.bus.read(this.base + register, 4);
  }
  #write(register: number, value: number): void {
    this.bus.write(this.base + register, 4, value);
  }
  #status(bits: number): void {
    this.#write(MMIO.status, this.#read(MMIO.status) | bits);
  }

  find(): void {
    this.#version = this.#read(MMIO.version);
    if (this.#read(MMIO.magic) === MMIO_MAGIC && (this.#version === 1 || this.#version === 2)) return;
    const value = `0x${this.base.toString(16)}`;
    throw new PlatterError('guest.no-virtio', `there is no virtio-mmio transport at ${value}`, {
      field: 'MagicValue',
      value,
    });
  }

  negotiate(wanted: bigint): void {
    this.#write(MMIO.status, 0);
    this.#status(STATUS.acknowledge);
    this.#status(STATUS.driver);
    const modern = this.#version === 2;
    let offered = 0n;
    for (const half of modern ? [0, 1] : [0]) {
      this.#write(MMIO.deviceFeaturesSelect, half);
      offered |= BigInt(this.#read(MMIO.deviceFeatures)) << BigInt(half * 32);
    }
    this.features = offered & (modern ? wanted | featureSet(F.VERSION_1) : wanted);
    for (const half of modern ? [0, 1] : [0]) {
      this.#write(MMIO.driverFeaturesSelect, half);
      this.#write(MMIO.driverFeatures, Number((this.features >> BigInt(half * 32)) & 0xffff_ffffn));
    }
    if (!modern) {
      this.#write(MMIO.guestPageSize, PAGE);
      return;
    }
    this.#status(STATUS.featuresOk);
    if ((this.#read(MMIO.status) & STATUS.featuresOk) !== 0) return;
    throw new PlatterError(
      'guest.features-refused',
      'the device refused the features that the driver chose',
      {
        field: 'Status',
        value: `0x${this.features.toString(16)}`,
      },
    );
  }

  has(feature: number): boolean {
    return hasFeature(this.features, feature);
  }

  config(offset: number, size: AccessSize): number {
    return this.bus.read(this.base + MMIO.config + offset, size);
  }

  queueSize(index: number): number {
    this.#write(MMIO.queueSelect, index);
    return Math.min(this.#read(MMIO.queueSizeMax), QUEUE_SIZE);
  }

  setUpQueue(index: number, at: QueueAddresses): RegisterAt {
    this.#write(MMIO.queueSelect, index);
    this.#write(MMIO.queueSize, at.size);
    if (this.#version === 1) {
      this.#write(MMIO.queueAlign, PAGE);
      this.#write(MMIO.queuePage, at.desc / PAGE);
    } else {
      const parts = [
        [MMIO.queueDesc, at.desc],
        [MMIO.queueDriver, at.driver],
        [MMIO.queueDevice, at.device],
      ];
      for (const [register, address] of parts) {
        this.#write(register, address >>> 0);
        this.#write(register + 4, Math.floor(address / 0x1_0000_0000));
      }
      this.#write(MMIO.queueReady, 1);
    }
    return { port: false, address: this.base + MMIO.queueNotify, size: 4 };
  }

  /** There are no messages on this transport. */
  enableMsix(): void {
    // Its one line tells of everything.
  }
  readonly hasMessages = false;
  isFor(): boolean {
    return false;
  }

  driverOk(): void {
    this.#status(STATUS.driverOk);
  }
}
