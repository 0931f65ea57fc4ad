/**
 * The common configuration structure (virtio 1.2, section 4.1.4.3), register for register as QEMU's `virtio_pci_common_read` and
 * `_write` have it: a register answers at its own offset only, whatever the width of the access.
 */
import { type AccessSize, lowBytes, type RegisterRange } from '../../machine/address-space.ts';
import type { VirtioDevice, VirtQueueState } from '../device.ts';
import { NO_VECTOR } from '../features.ts';
import { broken } from '../queue/errors.ts';
import { COMMON, REGION_SIZE } from './pci-layout.ts';

const join = (words: Uint32Array, at: number): number => words[at] + words[at + 1] * 0x1_0000_0000;

export class CommonConfig implements RegisterRange {
  readonly name: string;
  readonly size = REGION_SIZE;
  readonly #device: VirtioDevice;
  readonly #vectors: number;
  /** For each queue low and high words of descriptor area, driver area, device area, as written. */
  readonly #addresses: Uint32Array[];
  /** Everything that the PCI function has to forget when the device is reset. */
  readonly #onReset: () => void;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  /** Which queue's registers are seen; a legacy interface has the same one. */
  queueSelect = 0;
  readonly #driverFeatures = new Uint32Array(2);

  constructor(device: VirtioDevice, vectors: number, onReset: () => void) {
    this.name = `${device.name} common`;
    this.#device = device;
    this.#vectors = vectors;
    this.#onReset = onReset;
    this.#addresses = device.queues.map(() => new Uint32Array(6));
  }

  get #queue(): VirtQueueState | undefined {
    return this.#device.queues[this.queueSelect];
  }

  read(offset: number, size: AccessSize): number {
    const value = this.#readRegister(offset);
    return lowBytes(value, size);
  }

  #readRegister(offset: number): number {
    const device = this.#device;
    const queue = this.#queue;
    switch (offset) {
      case COMMON.deviceFeatureSelect:
        return this.#deviceFeatureSelect;
      case COMMON.deviceFeature:
        return this.#deviceFeatureSelect > 1
          ? 0
          : Number((device.offered >> BigInt(this.#deviceFeatureSelect * 32)) & 0xffff_ffffn);
      case COMMON.driverFeatureSelect:
        return this.#driverFeatureSelect;
      case COMMON.driverFeature:
        return this.#driverFeatures[this.#driverFeatureSelect] ?? 0;
      case COMMON.configVector:
        return device.configVector;
      case COMMON.numQueues:
        return device.queues.length;
      case COMMON.status:
        return device.readStatus();
      case COMMON.configGeneration:
        return device.configGeneration;
      case COMMON.queueSelect:
        return this.queueSelect;
      case COMMON.queueSize:
        return queue?.size ?? 0;
      case COMMON.queueVector:
        return queue?.vector ?? NO_VECTOR;
      case COMMON.queueEnable:
        return queue?.enabled === true ? 1 : 0;
      case COMMON.queueNotifyOff:
        return this.queueSelect;
      default:
        return this.#readAddress(offset);
    }
  }

  #readAddress(offset: number): number {
    const word = (offset - COMMON.queueDesc) / 4;
    return this.#addresses[this.queueSelect]?.[word] ?? 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const device = this.#device;
    const queue = this.#queue;
    switch (offset) {
      case COMMON.deviceFeatureSelect:
        this.#deviceFeatureSelect = value;
        break;
      case COMMON.driverFeatureSelect:
        this.#driverFeatureSelect = value;
        break;
      case COMMON.driverFeature:
        this.#writeFeatures(value);
        break;
      case COMMON.configVector:
        device.configVector = this.vector(value);
        break;
      case COMMON.status:
        this.#writeStatus(value & 0xff);
        break;
      case COMMON.queueSelect:
        if (value < 1024) this.queueSelect = value;
        break;
      default:
        if (queue !== undefined) this.#writeQueue(queue, offset, value);
    }
  }

  /** A vector that the function does not have reads back as "none", so that the driver can see it (section 4.1.5.1.2.1). */
  vector(value: number): number {
    return value < this.#vectors ? value : NO_VECTOR;
  }

  #writeFeatures(value: number): void {
    if (this.#driverFeatureSelect > 1) return;
    this.#driverFeatures[this.#driverFeatureSelect] = value;
    const [low, high] = this.#driverFeatures;
    this.#device.writeFeatures((BigInt(high) << 32n) | BigInt(low));
  }

  #writeStatus(value: number): void {
    this.#device.writeStatus(value);
    if (value === 0) {
      this.reset();
      this.#onReset();
    }
  }

  #writeQueue(queue: VirtQueueState, offset: number, value: number): void {
    const addresses = this.#addresses[queue.index];
    switch (offset) {
      case COMMON.queueSize:
        // Section 4.1.4.3.2: an enabled queue keeps its size; a queue does not come or go by its size.
        if (queue.enabled || value === 0 || value > 1024) return;
        queue.size = value;
        break;
      case COMMON.queueVector:
        queue.vector = this.vector(value);
        break;
      case COMMON.queueEnable:
        this.#enable(queue, value);
        break;
      case COMMON.queueReset:
        // As in QEMU the address registers keep what was written; section 4.1.4.3.2 has the driver write them again.
        if (value === 1) this.#device.resetQueue(queue);
        break;
      default:
        if (offset >= COMMON.queueDesc && offset < COMMON.queueNotifyData && offset % 4 === 0) {
          addresses[(offset - COMMON.queueDesc) / 4] = value;
        }
    }
  }

  /** Section 4.1.4.3.2: only 1 may be written; everything else lays the device down. */
  #enable(queue: VirtQueueState, value: number): void {
    const words = this.#addresses[queue.index];
    if (value !== 1) {
      this.#device.breakRule(queue, broken('virtio.queue-enable', value));
      return;
    }
    if (queue.enabled) return;
    queue.desc = join(words, 0);
    queue.driver = join(words, 2);
    queue.device = join(words, 4);
    this.#device.enableQueue(queue);
  }

  /** The device was reset. As in QEMU the two feature selectors stay where they are; a driver sets them before it uses them. */
  reset(): void {
    this.queueSelect = 0;
    this.#driverFeatures.fill(0);
    for (const words of this.#addresses) words.fill(0);
  }
}
