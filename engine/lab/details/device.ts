/** The sections of a virtio disk, in the order in which a driver meets its parts. */
import type { VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { MSIX_BAR } from '../../virtio/transport/pci-layout.ts';
import type { VirtioPci } from '../../virtio/transport/pci.ts';
import { blkConfigSection, blkRequestFields } from './blk.ts';
import { msixSection } from './msix.ts';
import { pciSections } from './pci.ts';
import { queueSections, type RequestFields } from './queue.ts';
import { pciRegisters, type RegisterMap } from './registers.ts';
import type { Section } from './section.ts';
import { StatusLife } from './status-life.ts';
import { virtioSections } from './virtio.ts';

export interface VirtioParts {
  device: VirtioDevice;
  driver: VirtqueueDriver;
  /** Who serves its queues: the main loop, or an IOThread by its name. */
  thread: string;
  /** Its PCI function, or else where its registers are. */
  transport: VirtioPci | RegisterMap;
  /** The device's own configuration space. */
  config?: (device: VirtioDevice, registers: RegisterMap) => Section;
  /** What the buffers of a chain mean. */
  requestFields?: RequestFields;
}

const isPci = (transport: VirtioPci | RegisterMap): transport is VirtioPci => 'pci' in transport;

/** PCI 3.0, section 6.2.3: the status register shows what the function does with its pin. */
const INTERRUPT_STATUS = 0x08;
const STATUS_AT = 0x06;

export function virtioDetails(parts: VirtioParts): () => Section[] {
  const { device, driver, transport, thread } = parts;
  const life = new StatusLife(device.trace);
  const registers = isPci(transport) ? pciRegisters(transport) : transport;
  const line = (): boolean | undefined =>
    isPci(transport) ? (transport.pci.config[STATUS_AT] & INTERRUPT_STATUS) !== 0 : undefined;
  return () => {
    // Looked at often enough that the trace has not yet forgotten the writes.
    life.update();
    const sections: Section[] = [];
    if (isPci(transport)) sections.push(...pciSections(transport.pci));
    sections.push(...virtioSections({ device, registers, life, line, thread }));
    if (parts.config !== undefined) sections.push(parts.config(device, registers));
    sections.push(...queueSections(device, driver, parts.requestFields ?? (() => []), registers));
    if (isPci(transport) && transport.msix !== undefined) {
      const bar = { index: MSIX_BAR, base: () => transport.pci.barBase(MSIX_BAR) };
      sections.push(msixSection(transport.msix, bar, (vector) => useOf(device, vector)));
    }
    return sections;
  };
}

function useOf(device: VirtioDevice, vector: number): string {
  const uses = device.queues
    .filter((queue) => queue.enabled && queue.vector === vector)
    .map(({ index }) => `queue ${index}`);
  if (device.configVector === vector) uses.unshift('config');
  return uses.join(', ');
}

/** What is special about virtio-blk. */
export const BLK_DETAILS = { config: blkConfigSection, requestFields: blkRequestFields } as const;
