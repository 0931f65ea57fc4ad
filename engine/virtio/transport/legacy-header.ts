/**
 * The legacy interface of virtio over PCI (virtio 1.2, section 4.1.4.8): a block of registers in I/O space, followed by the device's
 * configuration. Register for register as QEMU's `virtio_ioport_read` and `_write` (hw/virtio/virtio-pci.c): a register answers at its
 * own offset only, whatever the width of the access.
 */
import { type AccessSize, allOnes, lowBytes, type RegisterRange } from '../../machine/address-space.ts';
import type { VirtioDevice, VirtQueueState } from '../device.ts';
import { F, featureSet, NO_VECTOR, STATUS } from '../features.ts';
import { legacyRing } from './legacy-ring.ts';

/** Section 4.1.4.8: offsets of the registers. The two vectors are there only while MSI-X is enabled. */
export const LEGACY = {
  deviceFeatures: 0,
  driverFeatures: 4,
  queueAddress: 8,
  queueSize: 12,
  queueSelect: 14,
  queueNotify: 16,
  status: 18,
  isr: 19,
  configVector: 20,
  queueVector: 22,
} as const;

const CONFIG_WITHOUT_MSIX = 20;
const CONFIG_WITH_MSIX = 24;
/** The legacy interface counts queue addresses in pages of 4096 bytes, and aligns the used ring to one. */
const PAGE = 4096;
const QUEUES_MAX = 1024;
const LOW = 0xffff_ffffn;

/** What the PCI function does for the legacy interface. */
export interface LegacyHooks {
  /** Whether the function has an MSI-X capability, and whether it is enabled now. */
  readonly hasMsix: boolean;
  msixEnabled(): boolean;
  /** The queue that both interfaces have selected. */
  selected: number;
  /** The vector, or "none" when the function has no such. */
  vector(value: number): number;
  /** Reads the interrupt status: clears it and lowers the INTx pin. */
  readIsr(): number;
  /** Power-on of the device and of both interfaces. */
  reset(): void;
  /** Linux before 2.6.34 never enabled bus mastering; QEMU does it for such drivers. */
  enableBusMaster(): void;
}

export class LegacyHeader implements RegisterRange {
  readonly name: string;
  /** Bytes: a power of two that holds the registers and the device's configuration. */
  readonly size: number;
  readonly #device: VirtioDevice;
  readonly #hooks: LegacyHooks;

  constructor(device: VirtioDevice, hooks: LegacyHooks) {
    this.name = `${device.name} legacy`;
    this.#device = device;
    this.#hooks = hooks;
    const bytes = (hooks.hasMsix ? CONFIG_WITH_MSIX : CONFIG_WITHOUT_MSIX) + device.configSize;
    this.size = 2 ** Math.ceil(Math.log2(bytes));
  }

  get #queue(): VirtQueueState | undefined {
    return this.#device.queues[this.#hooks.selected];
  }
  /** Where the device's configuration begins now (section 4.1.4.8). */
  get #configAt(): number {
    return this.#hooks.msixEnabled() ? CONFIG_WITH_MSIX : CONFIG_WITHOUT_MSIX;
  }

  read(offset: number, size: AccessSize): number {
    const at = offset - this.#configAt;
    if (at < 0) {
      const value = this.#readRegister(offset);
      return lowBytes(value, size);
    }
    if (at + size > this.#device.configSize) return allOnes(size);
    return this.#device.readConfig(at, size);
  }

  #readRegister(offset: number): number {
    const device = this.#device;
    switch (offset) {
      case LEGACY.deviceFeatures:
        return Number((device.offered | device.legacyOffered) & LOW);
      case LEGACY.driverFeatures:
        return Number(device.acked & LOW);
      case LEGACY.queueAddress:
        return Math.floor((this.#queue?.desc ?? 0) / PAGE);
      case LEGACY.queueSize:
        return this.#queue?.size ?? 0;
      case LEGACY.queueSelect:
        return this.#hooks.selected;
      case LEGACY.status:
        return device.readStatus();
      case LEGACY.isr:
        return this.#hooks.readIsr();
      case LEGACY.configVector:
        return device.configVector;
      case LEGACY.queueVector:
        return this.#queue?.vector ?? NO_VECTOR;
      default:
        return 0xffff_ffff;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    const at = offset - this.#configAt;
    if (at >= 0) {
      if (at + size <= this.#device.configSize) this.#device.writeConfig(at, size, value);
      return;
    }
    switch (offset) {
      case LEGACY.driverFeatures:
        this.#writeFeatures(value);
        break;
      case LEGACY.queueAddress:
        this.#writeQueueAddress(value);
        break;
      case LEGACY.queueSelect:
        if (value < QUEUES_MAX) this.#hooks.selected = value;
        break;
      case LEGACY.queueNotify:
        this.#device.notify(value);
        break;
      case LEGACY.status:
        this.#writeStatus(value & 0xff);
        break;
      case LEGACY.configVector:
        this.#device.configVector = this.#hooks.vector(value);
        break;
      case LEGACY.queueVector:
        if (this.#queue !== undefined) this.#queue.vector = this.#hooks.vector(value);
        break;
      default:
    }
  }

  /** A driver that takes the bit that nobody may take has taken all it saw: nothing can be assumed of it. */
  #writeFeatures(value: number): void {
    const taken = BigInt(value >>> 0);
    this.#device.writeFeatures((taken & featureSet(F.BAD_FEATURE)) === 0n ? taken : 0n);
  }

  /** Section 4.1.5.1.3: the page of the queue, whose size is the device's; page 0 resets the device, as in QEMU. */
  #writeQueueAddress(page: number): void {
    if (page === 0) {
      this.#hooks.reset();
      return;
    }
    const queue = this.#queue;
    if (queue === undefined) return;
    const { vector } = queue;
    if (queue.enabled) this.#device.resetQueue(queue);
    Object.assign(queue, legacyRing(page * PAGE, queue.maxSize, PAGE), { vector });
    if ((this.#device.status & STATUS.driverOk) !== 0) this.#device.enableQueue(queue);
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.#hooks.reset();
      return;
    }
    this.#device.writeStatus(value);
    if (value === (STATUS.acknowledge | STATUS.driver)) this.#hooks.enableBusMaster();
  }
}
