/**
 * The modern PCI transport (virtio 1.2, section 4.1): one PCI function with the virtio capabilities, the structures in one BAR,
 * MSI-X in another. Offsets, order and identity are those of QEMU's virtio-pci with `disable-legacy=on`.
 */
import type { AccessSize, AddressSpace, Doorbell, RegisterRange } from '../../machine/address-space.ts';
import type { InterruptSink } from '../../machine/interrupts.ts';
import { COMMAND, PciFunction } from '../../machine/pci/function.ts';
import { Msix, PBA_OFFSET } from '../../machine/pci/msix.ts';
import { E } from '../../trace/registry.ts';
import { highWord } from '../../trace/ring.ts';
import type { TransportHooks, VirtioDevice, VirtQueueState } from '../device.ts';
import { NO_VECTOR, STATUS } from '../features.ts';
import { CommonConfig } from './common-config.ts';
import {
  CAP,
  CAP_AT,
  CAP_MSIX,
  CAP_VENDOR,
  CFG,
  MODERN_BAR,
  MODERN_BAR_SIZE,
  MODERN_DEVICE_BASE,
  MODERN_REVISION,
  MSIX_BAR,
  NOTIFY_MULTIPLIER,
  REGION,
  REGION_SIZE,
  SUBSYSTEM_QEMU,
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
  /** 24 bits of PCI class, QEMU's for this device. */
  classCode: number;
  /** Called when a doorbell was rung through its ioeventfd: the device's thread wakes up. */
  onDoorbell?: (queue: number) => void;
}

const none = (size: AccessSize): number => (size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1);

export class VirtioPci implements TransportHooks, RegisterRange {
  readonly pci: PciFunction;
  readonly msix: Msix | undefined;
  readonly device: VirtioDevice;
  readonly common: CommonConfig;
  readonly name: string;
  readonly size = MODERN_BAR_SIZE;
  readonly #options: VirtioPciOptions;
  readonly #bound: number[] = [];
  #base: number | undefined;
  /** On whose behalf the message now being sent is. */
  #requestId = 0;
  #irqfd = false;
  #lineLevel = false;

  constructor(device: VirtioDevice, options: VirtioPciOptions) {
    const vectors = options.vectors ?? device.queues.length + 1;
    this.device = device;
    this.name = `${device.name} modern`;
    this.#options = options;
    this.pci = new PciFunction({
      name: device.name,
      vendor: VIRTIO_VENDOR,
      device: MODERN_DEVICE_BASE + device.deviceId,
      revision: MODERN_REVISION,
      classCode: options.classCode,
      subsystemVendor: VIRTIO_VENDOR,
      subsystem: SUBSYSTEM_QEMU,
      interruptPin: 1,
    });
    this.common = new CommonConfig(device, vectors, () => this.#lower());
    this.msix =
      vectors === 0
        ? undefined
        : new Msix(`${device.name} msix`, vectors, (vector, address, data) =>
            this.#send(vector, address, data),
          );
    this.#addCapabilities(vectors);
    if (this.msix !== undefined) this.pci.addBar(MSIX_BAR, 'mem32', false, this.msix);
    this.pci.addBar(MODERN_BAR, 'mem64', true, this, (base) => this.#moved(base));
    device.transport = this;
  }

  // ---- configuration space ----

  #addCapabilities(vectors: number): void {
    this.#virtioCap(CAP_AT.common, CFG.common, REGION.common);
    this.#virtioCap(CAP_AT.isr, CFG.isr, REGION.isr);
    this.#virtioCap(CAP_AT.device, CFG.device, REGION.device);
    this.#virtioCap(CAP_AT.notify, CFG.notify, REGION.notify, NOTIFY_MULTIPLIER);
    this.#windowCap();
    if (vectors > 0) this.#msixCap(vectors);
  }

  #virtioCap(at: number, type: number, offset: number, multiplier?: number): void {
    const body = new DataView(
      new ArrayBuffer((multiplier === undefined ? CAP.multiplier : CAP.multiplier + 4) - 2),
    );
    body.setUint8(0, body.byteLength + 2);
    body.setUint8(CAP.type - 2, type);
    body.setUint8(CAP.bar - 2, MODERN_BAR);
    body.setUint32(CAP.offset - 2, offset, true);
    body.setUint32(CAP.length - 2, REGION_SIZE, true);
    if (multiplier !== undefined) body.setUint32(CAP.multiplier - 2, multiplier, true);
    this.pci.addCapability(at, CAP_VENDOR, new Uint8Array(body.buffer));
  }

  /** Section 4.1.4.9: the window through configuration space, for firmware that cannot reach the BARs. */
  #windowCap(): void {
    const body = new Uint8Array(CAP.data + 4 - 2);
    const writable = new Uint8Array(body.length);
    body[0] = body.length + 2;
    body[CAP.type - 2] = CFG.pci;
    writable.fill(0xff, CAP.bar - 2, CAP.bar - 1);
    writable.fill(0xff, CAP.offset - 2);
    this.pci.addCapability(CAP_AT.pci, CAP_VENDOR, body, writable);
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

  #msixCap(vectors: number): void {
    const body = new DataView(new ArrayBuffer(10));
    body.setUint16(0, vectors - 1, true);
    body.setUint32(2, MSIX_BAR, true);
    body.setUint32(6, PBA_OFFSET | MSIX_BAR, true);
    const writable = new Uint8Array(10);
    writable[1] = 0xc0;
    this.pci.addCapability(CAP_AT.msix, CAP_MSIX, new Uint8Array(body.buffer), writable);
    this.pci.watch(CAP_AT.msix + 2, CAP_AT.msix + 4, {
      written: () => {
        const control = this.pci.config[CAP_AT.msix + 3];
        this.msix?.control((control & 0x80) !== 0, (control & 0x40) !== 0);
      },
    });
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
        return within + size > this.device.configSize ? none(size) : this.device.readConfig(within, size);
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
    if (on) this.#bind();
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
      this.#options.interrupts.line(this.pci.slot, 0, true, requestId);
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
    this.#options.interrupts.line(this.pci.slot, 0, false, 0);
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
