/**
 * The MMIO transport (virtio 1.2, section 4.2), version 2 and the legacy version 1: one window of registers and one interrupt line.
 * Register for register as QEMU's hw/virtio/virtio-mmio.c: registers answer to accesses of four bytes at their own offset only.
 */
import {
  type AccessSize,
  type AddressSpace,
  allOnes,
  type RegisterRange,
} from '../../machine/address-space.ts';
import { E } from '../../trace/registry.ts';
import type { TransportHooks, VirtioDevice, VirtQueueState } from '../device.ts';
import { F, featureSet, STATUS } from '../features.ts';
import { enableLegacyQueues, legacyRing } from './legacy-ring.ts';
import { MMIO, MMIO_MAGIC, MMIO_QUEUE_MAX, MMIO_SIZE, MMIO_VENDOR } from './mmio-layout.ts';

export interface VirtioMmioOptions {
  /** `force-legacy=on` (QEMU's default for `virtio-mmio`): version 1. */
  legacy?: boolean;
  /** The level of the interrupt line changed, on behalf of a request (0 for none). */
  line(level: boolean, requestId: number): void;
  /** The space in which the doorbell is bound, when the machine has ioeventfds. */
  memory?: AddressSpace;
  /** Called when the doorbell was rung through its ioeventfd: the device's thread wakes up. */
  onDoorbell?: (queue: number) => void;
}

const QUEUES_MAX = 1024;
const join = (low: number, high: number): number => low + high * 0x1_0000_0000;
/** `ctz32`; a value without a bit counts as page size 1, as in QEMU. */
const shiftOf = (value: number): number => (value === 0 ? 0 : 31 - Math.clz32(value & -value));

export class VirtioMmio implements TransportHooks, RegisterRange {
  readonly name: string;
  readonly size = MMIO_SIZE;
  readonly device: VirtioDevice;
  readonly #options: VirtioMmioOptions;
  readonly #legacy: boolean;
  /** Low and high words of descriptor area, driver area, device area, as written (version 2). */
  readonly #addresses: Uint32Array[];
  /** Section 4.2.4: page number and alignment of each queue (version 1). */
  readonly #pages: Float64Array;
  readonly #aligns: Float64Array;
  readonly #driverFeatures = new Uint32Array(2);
  #deviceFeaturesSelect = 0;
  #driverFeaturesSelect = 0;
  #queueSelect = 0;
  #pageShift = 0;
  #level = false;
  #doorbell: number | undefined;

  constructor(device: VirtioDevice, options: VirtioMmioOptions) {
    this.name = `${device.name} mmio`;
    this.device = device;
    this.#options = options;
    this.#legacy = options.legacy ?? false;
    this.#addresses = device.queues.map(() => new Uint32Array(6));
    this.#pages = new Float64Array(device.queues.length);
    this.#aligns = new Float64Array(device.queues.length).fill(4096);
    for (const queue of device.queues) queue.maxSize = MMIO_QUEUE_MAX;
    device.legacyOffered = device.legacyFeatures(!this.#legacy) & ~featureSet(F.BAD_FEATURE);
    device.transport = this;
  }

  get #queue(): VirtQueueState | undefined {
    return this.device.queues[this.#queueSelect];
  }

  // ---- registers ----

  read(offset: number, size: AccessSize): number {
    if (offset >= MMIO.config) return this.#readConfig(offset - MMIO.config, size);
    if (size !== 4) return 0;
    return this.#readRegister(offset) >>> 0;
  }

  #readConfig(at: number, size: AccessSize): number {
    if (at + size > this.device.configSize) return allOnes(size);
    return this.device.readConfig(at, size);
  }

  #readRegister(offset: number): number {
    const { device } = this;
    switch (offset) {
      case MMIO.magic:
        return MMIO_MAGIC;
      case MMIO.version:
        return this.#legacy ? 1 : 2;
      case MMIO.deviceId:
        return device.deviceId;
      case MMIO.vendorId:
        return MMIO_VENDOR;
      case MMIO.deviceFeatures:
        return this.#readFeatures();
      case MMIO.queueSizeMax:
        return this.#queue?.maxSize ?? 0;
      case MMIO.queuePage:
        return this.#legacy ? Math.floor((this.#queue?.desc ?? 0) / 2 ** this.#pageShift) : 0;
      case MMIO.queueReady:
        return !this.#legacy && this.#queue?.enabled === true ? 1 : 0;
      case MMIO.interruptStatus:
        return device.isr;
      case MMIO.status:
        return device.readStatus();
      case MMIO.configGeneration:
        return this.#legacy ? 0 : device.configGeneration;
      case MMIO.sharedMemoryLength:
      case MMIO.sharedMemoryLength + 4:
        // Section 4.2.2: there is no such region.
        return 0xffff_ffff;
      default:
        return 0;
    }
  }

  #readFeatures(): number {
    const { offered, legacyOffered } = this.device;
    const half = BigInt(this.#deviceFeaturesSelect * 32);
    if (!this.#legacy) return Number((offered >> half) & 0xffff_ffffn);
    return half === 0n ? Number((offered | legacyOffered) & 0xffff_ffffn) : 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const { device } = this;
    if (offset >= MMIO.config) {
      const at = offset - MMIO.config;
      if (at + size <= device.configSize) device.writeConfig(at, size, value);
      return;
    }
    if (size !== 4) return;
    switch (offset) {
      case MMIO.deviceFeaturesSelect:
        this.#deviceFeaturesSelect = value === 0 ? 0 : 1;
        break;
      case MMIO.driverFeatures:
        this.#writeFeatures(value);
        break;
      case MMIO.driverFeaturesSelect:
        this.#driverFeaturesSelect = value === 0 ? 0 : 1;
        break;
      case MMIO.queueSelect:
        if (value < QUEUES_MAX) this.#queueSelect = value;
        break;
      case MMIO.queueNotify:
        device.notify(this.#rung(value));
        break;
      case MMIO.interruptAck:
        device.isr &= ~value;
        this.#update(0);
        break;
      case MMIO.status:
        this.#writeStatus(value & 0xff);
        break;
      case MMIO.guestPageSize:
        if (this.#legacy) this.#pageShift = shiftOf(value);
        break;
      default:
        if (this.#queue !== undefined) this.#writeQueue(this.#queue, offset, value);
    }
  }

  /** Section 4.2.3.3: the queue's number; with NOTIFICATION_DATA the upper half says how far its ring is filled. */
  #rung(value: number): number {
    return this.device.has(F.NOTIFICATION_DATA) ? value & 0xffff : value;
  }

  #writeFeatures(value: number): void {
    if (!this.#legacy) this.#driverFeatures[this.#driverFeaturesSelect] = value;
    else if (this.#driverFeaturesSelect === 0) this.device.writeFeatures(BigInt(value >>> 0));
  }

  #writeStatus(value: number): void {
    const { device } = this;
    if (value === 0) {
      this.#reset();
      return;
    }
    if (!this.#legacy && (value & STATUS.featuresOk) !== 0) {
      const [low, high] = this.#driverFeatures;
      device.writeFeatures((BigInt(high) << 32n) | BigInt(low));
    }
    device.writeStatus(value);
  }

  /** Section 4.2.2.1: a write of 0 to the status, or to the page of a queue of version 1, resets. */
  #reset(): void {
    this.device.writeStatus(0);
    this.#queueSelect = 0;
    this.#pages.fill(0);
    this.#update(0);
  }

  // ---- queues ----

  #writeQueue(queue: VirtQueueState, offset: number, value: number): void {
    if (offset === MMIO.queueSize) {
      if (queue.enabled || value === 0 || value > queue.maxSize) return;
      queue.size = value;
      this.#placeLegacy(queue);
      return;
    }
    if (this.#legacy) this.#writeLegacyQueue(queue, offset, value);
    else if (offset === MMIO.queueReady) this.#ready(queue, value);
    else if (offset === MMIO.queueReset) this.#resetQueue(queue, value);
    else this.#writeAddress(queue, offset, value);
  }

  #writeAddress(queue: VirtQueueState, offset: number, value: number): void {
    const words = this.#addresses[queue.index];
    for (const [part, base] of [MMIO.queueDesc, MMIO.queueDriver, MMIO.queueDevice].entries()) {
      if (offset === base || offset === base + 4) words[part * 2 + (offset - base) / 4] = value;
    }
  }

  #ready(queue: VirtQueueState, value: number): void {
    if (value === 0) {
      const { size } = queue;
      this.device.resetQueue(queue);
      queue.size = size;
      return;
    }
    const words = this.#addresses[queue.index];
    queue.desc = join(words[0], words[1]);
    queue.driver = join(words[2], words[3]);
    queue.device = join(words[4], words[5]);
    this.device.enableQueue(queue);
  }

  /**
   * Section 4.2.2, QueueReset: 1 brings the queue back to what it was after power-on, at once, so that the register always reads as 0. What
   * its requests still have under way at the host is dropped (section 2.6.1).
   */
  #resetQueue(queue: VirtQueueState, value: number): void {
    if (value !== 1 || !this.device.has(F.RING_RESET)) return;
    this.device.resetQueue(queue);
    this.#addresses[queue.index].fill(0);
  }

  #writeLegacyQueue(queue: VirtQueueState, offset: number, value: number): void {
    if (offset === MMIO.queueAlign) {
      this.#aligns[queue.index] = value;
      this.#placeLegacy(queue);
    } else if (offset === MMIO.queuePage) {
      if (value === 0) {
        this.#reset();
        return;
      }
      this.#pages[queue.index] = value * 2 ** this.#pageShift;
      this.#placeLegacy(queue);
    }
  }

  /** Section 4.2.4: the queue's parts follow from page, size and alignment; it runs from DRIVER_OK on. */
  #placeLegacy(queue: VirtQueueState): void {
    const address = this.#pages[queue.index];
    if (!this.#legacy || address === 0) return;
    const { size } = queue;
    if (queue.enabled) this.device.resetQueue(queue);
    Object.assign(queue, legacyRing(address, size, Math.max(this.#aligns[queue.index], 1)), { size });
    if ((this.device.status & STATUS.driverOk) !== 0) this.device.enableQueue(queue);
  }

  // ---- doorbell and interrupt ----

  started(on: boolean): void {
    const { memory, onDoorbell } = this.#options;
    if (this.#doorbell !== undefined) memory?.unbindDoorbell(this.#doorbell);
    this.#doorbell = undefined;
    if (!on) return;
    if (this.#legacy) enableLegacyQueues(this.device);
    const base = memory?.baseOf(this);
    if (base === undefined) return;
    this.#doorbell = base + MMIO.queueNotify;
    memory?.bindDoorbell(this.#doorbell, {
      queue: 0,
      ring: (queue) => {
        this.device.notify(this.#rung(queue));
        onDoorbell?.(this.#rung(queue));
      },
    });
  }

  queueInterrupt(_queue: VirtQueueState, requestId: number): void {
    this.#update(requestId);
  }
  configInterrupt(): void {
    this.#update(0);
  }

  /** The line is up while a bit of the interrupt status is set (section 4.2.3.1). It is set each time, and nobody sees that it was. */
  #update(requestId: number): void {
    const level = this.device.isr !== 0;
    this.device.trace.emit(E.virtio_mmio_setting_irq, requestId, level ? 1 : 0, 0, 0, 0);
    if (level === this.#level) return;
    this.#level = level;
    this.#options.line(level, requestId);
  }
}
