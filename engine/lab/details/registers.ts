/** Where a virtio transport has its registers, for the place beside each value. */
import type { DetailPlace } from '#contract/lab-details.ts';
import { MMIO } from '../../virtio/transport/mmio-layout.ts';
import { COMMON, LEGACY_BAR, MODERN_BAR, REGION } from '../../virtio/transport/pci-layout.ts';
import type { VirtioPci } from '../../virtio/transport/pci.ts';

export type VirtioRegister =
  | 'deviceFeature'
  | 'driverFeature'
  | 'configVector'
  | 'numQueues'
  | 'status'
  | 'configGeneration'
  | 'queueSelect'
  | 'queueSize'
  | 'queueVector'
  | 'queueEnable'
  | 'queueNotifyOff'
  | 'queueDesc'
  | 'queueDriver'
  | 'queueDevice'
  | 'isr'
  | 'notify'
  | 'config';

export interface RegisterMap {
  /** The place of a register, null when this transport has none; `offset` bytes into it. */
  place(register: VirtioRegister, offset?: number): DetailPlace | null;
  readonly interface: 'modern' | 'legacy' | 'mmio' | 'mmio-legacy';
  /** The section that lays the registers out. */
  readonly source: string;
}

/** Virtio 1.2, section 4.1.4.8: the legacy interface's header; the device's own configuration follows it. */
const LEGACY: Partial<Record<VirtioRegister, number>> = {
  deviceFeature: 0,
  driverFeature: 4,
  queueDesc: 8,
  queueSize: 12,
  queueSelect: 14,
  notify: 16,
  status: 18,
  isr: 19,
  configVector: 20,
  queueVector: 22,
};

/** Where the device's configuration begins without MSI-X. */
const CONFIG = 20;

function inBar(transport: VirtioPci, bar: number, offset: number): DetailPlace {
  const base = transport.pci.barBase(bar);
  return { space: 'bar', bar, offset, address: base === undefined ? null : base + offset };
}

function modern(register: VirtioRegister): number {
  if (register === 'isr') return REGION.isr;
  if (register === 'notify') return REGION.notify;
  if (register === 'config') return REGION.device;
  return REGION.common + COMMON[register];
}

/** The modern interface when the function has one, else the legacy one. */
export function pciRegisters(transport: VirtioPci): RegisterMap {
  if (transport.pci.bars.some(({ index }) => index === MODERN_BAR)) {
    return {
      interface: 'modern',
      source: 'virtio 1.2, 4.1.4.3',
      place: (register, offset = 0) => inBar(transport, MODERN_BAR, modern(register) + offset),
    };
  }
  return {
    interface: 'legacy',
    source: 'virtio 1.2, 4.1.4.8',
    place: (register, offset = 0) => {
      const config = transport.msix?.enabled === true ? CONFIG + 4 : CONFIG;
      const at = register === 'config' ? config : LEGACY[register];
      // The vectors are there only while MSI-X is on.
      if (at === undefined || (at >= CONFIG && register !== 'config' && config === CONFIG)) return null;
      return inBar(transport, LEGACY_BAR, at + offset);
    },
  };
}

const MMIO_AT: Partial<Record<VirtioRegister, number>> = {
  deviceFeature: MMIO.deviceFeatures,
  driverFeature: MMIO.driverFeatures,
  queueSelect: MMIO.queueSelect,
  queueSize: MMIO.queueSize,
  queueEnable: MMIO.queueReady,
  queueDesc: MMIO.queueDesc,
  queueDriver: MMIO.queueDriver,
  queueDevice: MMIO.queueDevice,
  status: MMIO.status,
  isr: MMIO.interruptStatus,
  notify: MMIO.queueNotify,
  configGeneration: MMIO.configGeneration,
  config: MMIO.config,
};

/** Version 1 (virtio 1.2, section 4.2.4): the queue's page takes the place of three addresses, and nothing is "ready". */
const MMIO_LEGACY_AT: typeof MMIO_AT = {
  ...MMIO_AT,
  queueDesc: MMIO.queuePage,
  queueEnable: undefined,
  queueDriver: undefined,
  queueDevice: undefined,
  configGeneration: undefined,
};

/** `base`: guest physical address of the register window. */
export function mmioRegisters(base: number, version: 1 | 2): RegisterMap {
  const registers = version === 1 ? MMIO_LEGACY_AT : MMIO_AT;
  return {
    interface: version === 1 ? 'mmio-legacy' : 'mmio',
    source: version === 1 ? 'virtio 1.2, 4.2.4' : 'virtio 1.2, 4.2.2',
    place: (register, offset = 0) => {
      const at = registers[register];
      return at === undefined ? null : { space: 'memory', address: base + at + offset };
    },
  };
}
