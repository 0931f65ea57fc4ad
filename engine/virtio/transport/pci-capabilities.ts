/** The capabilities that a virtio PCI function has in configuration space (virtio 1.2, section 4.1.4; hw/virtio/virtio-pci.c). */
import { PBA_OFFSET } from '../../machine/pci/msix.ts';
import type { PciFunction } from '../../machine/pci/function.ts';
import {
  CAP,
  CAP_AT,
  CAP_MSIX,
  CAP_VENDOR,
  CFG,
  MODERN_BAR,
  MSIX_BAR,
  NOTIFY_MULTIPLIER,
  REGION,
  REGION_SIZE,
} from './pci-layout.ts';

/** The four structures of the modern interface; the window through configuration space is the transport's. */
export function addStructures(pci: PciFunction): void {
  addStructure(pci, CAP_AT.common, CFG.common, REGION.common);
  addStructure(pci, CAP_AT.isr, CFG.isr, REGION.isr);
  addStructure(pci, CAP_AT.device, CFG.device, REGION.device);
  addStructure(pci, CAP_AT.notify, CFG.notify, REGION.notify, NOTIFY_MULTIPLIER);
}

function addStructure(pci: PciFunction, at: number, type: number, offset: number, multiplier?: number): void {
  const length = multiplier === undefined ? CAP.multiplier : CAP.multiplier + 4;
  const body = new DataView(new ArrayBuffer(length - 2));
  body.setUint8(0, length);
  body.setUint8(CAP.type - 2, type);
  body.setUint8(CAP.bar - 2, MODERN_BAR);
  body.setUint32(CAP.offset - 2, offset, true);
  body.setUint32(CAP.length - 2, REGION_SIZE, true);
  if (multiplier !== undefined) body.setUint32(CAP.multiplier - 2, multiplier, true);
  pci.addCapability(at, CAP_VENDOR, new Uint8Array(body.buffer));
}

/** Section 4.1.4.9: the window through configuration space; `bar`, `offset`, `length` and the data can be written. */
export function addWindow(pci: PciFunction): void {
  const body = new Uint8Array(CAP.data + 4 - 2);
  const writable = new Uint8Array(body.length);
  body[0] = body.length + 2;
  body[CAP.type - 2] = CFG.pci;
  writable.fill(0xff, CAP.bar - 2, CAP.bar - 1);
  writable.fill(0xff, CAP.offset - 2);
  pci.addCapability(CAP_AT.pci, CAP_VENDOR, body, writable);
}

/** MSI-X (PCI 3.0, section 6.8.2) at `at`; `written` hears the function's two bits of message control. */
export function addMsix(
  pci: PciFunction,
  at: number,
  vectors: number,
  written: (enabled: boolean, masked: boolean) => void,
): void {
  const body = new DataView(new ArrayBuffer(10));
  body.setUint16(0, vectors - 1, true);
  body.setUint32(2, MSIX_BAR, true);
  body.setUint32(6, PBA_OFFSET | MSIX_BAR, true);
  const writable = new Uint8Array(10);
  writable[1] = 0xc0;
  pci.addCapability(at, CAP_MSIX, new Uint8Array(body.buffer), writable);
  pci.watch(at + 2, at + 4, {
    written: () => {
      const control = pci.config[at + 3];
      written((control & 0x80) !== 0, (control & 0x40) !== 0);
    },
  });
}
