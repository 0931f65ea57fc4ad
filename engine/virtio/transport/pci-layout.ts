/** virtio over PCI (virtio 1.2, section 4.1): where QEMU's virtio-pci puts everything (hw/virtio/virtio-pci.c). */
import { PlatterError } from '../../errors.ts';

export const VIRTIO_VENDOR = 0x1af4;
/** Section 4.1.2: modern devices are 0x1040 plus the device's number. */
export const MODERN_DEVICE_BASE = 0x1040;
export const MODERN_REVISION = 1;
/** Section 4.1.2.1: transitional devices are numbered otherwise, by the virtio device's number. */
const TRANSITIONAL = new Map([
  [1, 0x1000],
  [2, 0x1001],
  [5, 0x1002],
  [3, 0x1003],
  [8, 0x1004],
  [4, 0x1005],
  [9, 0x1009],
]);

/** PCI device id of a transitional device. Throws `machine.no-legacy` for one that never had a legacy interface. */
export function transitionalId(deviceId: number): number {
  const id = TRANSITIONAL.get(deviceId);
  if (id !== undefined) return id;
  throw new PlatterError(
    'machine.no-legacy',
    `virtio device ${deviceId} has no legacy interface; give it disable-legacy=on`,
    { option: 'disable-legacy', value: 'off', expected: 'on' },
  );
}
/** QEMU's subsystem id of a modern device (`PCI_SUBDEVICE_ID_QEMU`). */
export const SUBSYSTEM_QEMU = 0x1100;

export const CAP_VENDOR = 0x09;
export const CAP_MSIX = 0x11;
/** Section 4.1.4: cfg_type. */
export const CFG = { common: 1, notify: 2, isr: 3, device: 4, pci: 5 } as const;

export const LEGACY_BAR = 0;
export const MSIX_BAR = 1;
export const MODERN_BAR = 4;
/** Each structure has a page of the modern BAR. */
export const REGION = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
export const REGION_SIZE = 0x1000;
export const MODERN_BAR_SIZE = 0x4000;
/** Section 4.1.4.4. */
export const NOTIFY_MULTIPLIER = 4;

/** Offsets of QEMU's capabilities in configuration space. */
export const CAP_AT = {
  first: 0x40,
  common: 0x40,
  isr: 0x50,
  device: 0x60,
  notify: 0x70,
  pci: 0x84,
  msix: 0x98,
} as const;
/** Section 4.1.4: members of struct virtio_pci_cap. */
export const CAP = { type: 3, bar: 4, offset: 8, length: 12, multiplier: 16, data: 16 } as const;

/** Section 4.1.4.3: the common configuration structure. */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  numQueues: 0x12,
  status: 0x14,
  configGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDesc: 0x20,
  queueDriver: 0x28,
  queueDevice: 0x30,
  queueNotifyData: 0x38,
  queueReset: 0x3a,
} as const;
