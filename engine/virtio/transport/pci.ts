/**
 * The PCI transport (virtio 1.2, section 4.1): one PCI function with the virtio capabilities, the structures of the modern interface in
 * one BAR, MSI-X in another, the legacy interface in a third. Offsets, order and identity are those of QEMU's virtio-pci.
 */
import {
  type AccessSize,
  type AddressSpace,
  type Doorbell,
  allOnes,
  type RegisterRange,
} from '../../machine/address-space.ts';
import type { InterruptSink } from '../../machine/interrupts.ts';
import { COMMAND, PCI, PciFunction } from '../../machine/pci/function.ts';
import { Msix } from '../../machine/pci/msix.ts';
import { E } from '../../trace/registry.ts';
import { highWord } from '../../trace/ring.ts';
import type { TransportHooks, VirtioDevice, VirtQueueState } from '../device.ts';
import { NO_VECTOR, STATUS } from '../features.ts';
import { CommonConfig } from './common-config.ts';
import { LegacyHeader, type LegacyHooks } from './legacy-header.ts';
import { enableLegacyQueues } from './legacy-ring.ts';
import { addMsix, addStructures, addWindow } from './pci-capabilities.ts';
import {
  CAP,
  CAP_AT,
  LEGACY_BAR,
  MODERN_BAR,
  MODERN_BAR_SIZE,
  MODERN_DEVICE_BASE,
  MODERN_REVISION,
  MSIX_BAR,
  NOTIFY_MULTIPLIER,
  REGION,
  REGION_SIZE,
  SUBSYSTEM_QEMU,
  transitionalId,
  VIRTIO_VENDOR,
} from './pci-layout.ts';

export interface VirtioPciOptions {
  interrupts: InterruptSink;
  /** The space in which doorbells are bound. */
  memory: AddressSpace;
  /** `vectors=`; QEMU's default is one for each queue and one for the configuration, 0 for none (INTx only). */
  vectors?: number;
  /** `ioeventfd=`. */
  ioeventfd?: boolean;
  /** `disable-legacy=off`: the legacy interface of section 4.1.4.8 is there. Without it the function is modern only. */
  legacy?: boolean;
  /** `disable-modern=off`, the default. With both the function is a transitional one. */
  modern?: boolean;
  /** 24 bits of PCI class, QEMU's for this device. */
  classCode: number;
  /** Called when a doorbell was rung through its ioeventfd: the device's thread wakes up. */
  onDoorbell?: (queue: number) => void;
}

export class VirtioPci implements TransportHooks, RegisterRange {
  readonly pci: PciFunction;
  readonly msix: Msix | undefined;
  readonly device: VirtioDevice;
  readonly common: CommonConfig;
  /** The legacy interface, on a legacy or transitional function. */
  readonly legacy: LegacyHeader | undefined;
  readonly name: string;
  readonly size = MODERN_BAR_SIZE;
  readonly #options: VirtioPciOptions;
  readonly #bound: number[] = [];
  #base: number | undefined;
  /** On whose behalf the message now being sent is. */
  #requestId = 0;
  #irqfd = false;
  #lineLevel = false;
  /** The pin is up, as far as software has not turned it off. */
  #lineDriven = false;

  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    const vectors = options.vectors ?? device.queues.length + 1;
    const modern = options.modern ?? true;
    const legacy = options.legacy ?? false;
    this.device = device;
    this.name = `${device.name} modern`;
    this.#options = options;
    this.pci = new PciFunction({
      name: device.name,
      vendor: VIRTIO_VENDOR,
      device: legacy ? transitionalId(device.deviceId) : MODERN_DEVICE_BASE + device.deviceId,
      revision: legacy ? 0 : MODERN_REVISION,
      classCode: options.classCode,
      subsystemVendor: VIRTIO_VENDOR,
      subsystem: legacy ? device.deviceId : SUBSYSTEM_QEMU,
      interruptPin: 1,
    });
    this.common = new CommonConfig(device, vectors, () => this.#lower());
    this.msix =
      vectors === 0
        ? undefined
        : new Msix(`${device.name} msix`, vectors, (vector, address, data) =>
            this.#send(vector, address, data),
          );
    if (modern) {
      addStructures(this.pci);
      this.#addWindow();
    }
    if (this.msix !== undefined) {
      const { msix } = this;
      addMsix(this.pci, this.msixCapability(modern), vectors, (enabled, masked) =>
        msix.control(enabled, masked),
      );
      this.pci.addBar(MSIX_BAR, 'mem32', false, msix);
    }
    if (modern) this.pci.addBar(MODERN_BAR, 'mem64', true, this, (base) => this.#moved(base));
    if (legacy) {
      device.legacyOffered = device.legacyFeatures(modern);
      this.legacy = new LegacyHeader(device, this.#legacyHooks(vectors));
      this.pci.addBar(LEGACY_BAR, 'io', false, this.legacy);
    }
    this.pci.watch(PCI.command, PCI.command + 1, { written: () => this.#commandWritten() });
    device.transport = this;
  }

  /** Offset of the MSI-X capability: behind those of the modern interface, when there are any. */
  msixCapability(modern = this.#options.modern ?? true): number {
    return modern ? CAP_AT.msix : CAP_AT.first;
  }

  // ---- configuration space ----

  #addWindow(): void {
    addWindow(this.pci);
    const data = CAP_AT.pci + CAP.data;
    this.pci.watch(data, data + 4, {
      written: () => this.#window((offset, size, view) => this.write(offset, size, readSized(view, size))),
      beforeRead: () => this.#window((offset, size, view) => writeSized(view, size, this.read(offset, size))),
    });
  }

  /** Section 4.1.4.9.1: length 1, 2 or 4, offset a multiple of it and inside the BAR; anything else does nothing. */
  #window(access: (offset: number, size: AccessSize, data: DataView) => void): void {
    const view = new DataView(this.pci.config.buffer);
    const offset = view.getUint32(CAP_AT.pci + CAP.offset, true);
    const length = view.getUint32(CAP_AT.pci + CAP.length, true);
    if ((length !== 1 && length !== 2 && length !== 4) || offset % length !== 0) return;
    if (offset + length > MODERN_BAR_SIZE) return;
    access(offset, length, new DataView(view.buffer, CAP_AT.pci + CAP.data, 4));
  }

  /** As QEMU's `virtio_write_config`: a function that may not reach memory does not run. */
  #commandWritten(): void {
    const { device } = this;
    device.disabled = (this.pci.command & COMMAND.master) === 0;
    if (device.disabled && (device.status & STATUS.driverOk) !== 0) {
      device.writeStatus(device.status & ~STATUS.driverOk);
    }
  }

  // ---- the legacy interface ----

  #legacyHooks(vectors: number): LegacyHooks {
    const { common, msix, pci } = this;
    const reset = (): void => this.#resetByDriver();
    const readIsr = (): number => this.#readIsr();
    return {
      hasMsix: vectors > 0,
      msixEnabled: () => msix?.enabled === true,
      get selected() {
        return common.queueSelect;
      },
      set selected(queue) {
        common.queueSelect = queue;
      },
      vector: (value) => common.vector(value),
      readIsr,
      reset,
      enableBusMaster: () => pci.write(PCI.command, 2, pci.command | COMMAND.master),
    };
  }

  #resetByDriver(): void {
    this.device.writeStatus(0);
    this.common.reset();
    this.#lower();
  }

  // ---- the modern BAR ----

  read(offset: number, size: AccessSize): number {
    const within = offset & (REGION_SIZE - 1);
    switch (offset - within) {
      case REGION.common:
        return this.common.read(within, size);
      case REGION.isr:
        return within === 0 ? this.#readIsr() : 0;
      case REGION.device:
        return within + size > this.device.configSize ? allOnes(size) : this.device.readConfig(within, size);
      default:
        return 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    const within = offset & (REGION_SIZE - 1);
    switch (offset - within) {
      case REGION.common:
        this.common.write(within, size, value);
        break;
      case REGION.device:
        if (within + size <= this.device.configSize) this.device.writeConfig(within, size, value);
        break;
      case REGION.notify:
        this.#notifyWrite(within, size, value);
        break;
      default:
    }
  }

  /** Section 4.1.4.5: reading clears it and lowers the INTx pin. */
  #readIsr(): number {
    const { isr } = this.device;
    this.device.isr = 0;
    this.#lower();
    return isr;
  }

  /** A doorbell that no ioeventfd caught: the offset says which queue, as in QEMU. */
  #notifyWrite(within: number, size: number, value: number): void {
    const at = (this.#base ?? 0) + REGION.notify + within;
    this.device.trace.emit(E.virtio_pci_notify_write, 0, at >>> 0, highWord(at), value, size);
    this.device.notify(Math.floor(within / NOTIFY_MULTIPLIER));
  }

  // ---- doorbells ----

  #moved(base: number | undefined): void {
    this.#unbind();
    this.#base = base;
    if ((this.device.status & STATUS.driverOk) !== 0) this.#bind();
  }

  started(on: boolean): void {
    this.#unbind();
    if (!on) return;
    if (this.legacy !== undefined) enableLegacyQueues(this.device);
    this.#bind();
  }

  #bind(): void {
    if (this.#base === undefined || this.#options.ioeventfd === false) return;
    for (const { index } of this.device.queues) {
      const address = this.notifyAddress(index);
      const doorbell: Doorbell = {
        queue: index,
        ring: () => {
          this.device.notify(index);
          this.#options.onDoorbell?.(index);
        },
      };
      this.#options.memory.bindDoorbell(address, doorbell);
      this.#bound.push(address);
    }
  }

  #unbind(): void {
    for (const address of this.#bound) this.#options.memory.unbindDoorbell(address);
    this.#bound.length = 0;
  }

  /** Guest physical address of a queue's doorbell; the BAR must be mapped. */
  notifyAddress(queue: number): number {
    return (this.#base ?? 0) + REGION.notify + queue * NOTIFY_MULTIPLIER;
  }

  // ---- interrupts ----

  queueInterrupt(queue: VirtQueueState, requestId: number, irqfd: boolean): void {
    this.#interrupt(queue.vector, requestId, irqfd);
  }
  configInterrupt(): void {
    this.#interrupt(this.device.configVector, 0, false);
  }

  #interrupt(vector: number, requestId: number, irqfd: boolean): void {
    this.#requestId = requestId;
    if (this.msix?.enabled === true) {
      this.#irqfd = irqfd;
      if (vector !== NO_VECTOR) this.msix.notify(vector);
      return;
    }
    if ((this.device.isr & 1) === 0 || this.#lineLevel) return;
    this.#lineLevel = true;
    this.pci.setInterruptStatus(true);
    this.device.trace.emit(E.pci_set_irq, requestId, 0, 1, 0, 0);
    if ((this.pci.command & COMMAND.interruptDisable) === 0) {
      this.#line(true, requestId);
    }
  }

  #send(vector: number, address: number, data: number): void {
    if (!this.#irqfd) {
      this.device.trace.emit(E.msix_notify, this.#requestId, vector, address >>> 0, highWord(address), data);
    }
    this.#options.interrupts.message(address, data, this.#requestId);
  }

  #lower(): void {
    if (!this.#lineLevel) return;
    this.#lineLevel = false;
    this.pci.setInterruptStatus(false);
    this.#line(false, 0);
  }

  #line(level: boolean, requestId: number): void {
    if (level === this.#lineDriven) return;
    this.#lineDriven = level;
    const { slot, pin } = this.pci.interruptAt();
    this.#options.interrupts.line(slot, pin, level, requestId);
  }

  /** Power-on: the function, the MSI-X table, the device. */
  powerOn(): void {
    this.device.reset();
    this.common.reset();
    this.msix?.reset();
    this.pci.reset();
  }
}

function readSized(view: DataView, size: AccessSize): number {
  if (size === 1) return view.getUint8(0);
  return size === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
}
function writeSized(view: DataView, size: AccessSize, value: number): void {
  if (size === 1) view.setUint8(0, value);
  else if (size === 2) view.setUint16(0, value, true);
  else view.setUint32(0, value, true);
}
