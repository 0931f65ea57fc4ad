/** A virtio device as a PCI function: its interfaces as QEMU's names and properties say, and the guest's driver that fits them. */
import type { VirtioTransportDriver } from '../../guest/virtio-transport.ts';
import { VirtioPciLegacyDriver } from '../../guest/virtio-pci-legacy.ts';
import { VirtioPciDriver } from '../../guest/virtio-pci.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { VirtioPci } from '../../virtio/transport/pci.ts';
import type { Properties } from '../properties.ts';
import type { MachineContext } from './kind.ts';

/** The option of the PCI function: the disk's own, or its controller's. */
export interface VirtioPciOption {
  /** QEMU's name: `virtio-blk-pci`, `virtio-scsi-pci-non-transitional`. */
  driver: string;
  properties: Properties;
  slot?: number;
}

/**
 * Which interfaces the function has (hw/virtio/virtio-pci.c): both on a conventional bus, unless the name or `disable-legacy=` and
 * `disable-modern=` say otherwise.
 */
export function virtioInterfaces({ driver, properties }: VirtioPciOption): {
  legacy: boolean;
  modern: boolean;
} {
  const modern = !properties.on('disable-modern', false);
  return { legacy: !driver.endsWith('-non-transitional') && !properties.on('disable-legacy', false), modern };
}

/**
 * Plugs the device in and lets firmware assign its addresses. Answers also the line that its pin arrives at. The guest drives a transitional device by its modern interface, as
 * Linux does. Throws `lab.bad-value`, `machine.slot-taken`.
 */
export function plugVirtioPci(
  context: MachineContext,
  option: VirtioPciOption,
  device: VirtioDevice,
  classCode: number,
): { transport: VirtioPci; driver: VirtioTransportDriver; gsi: number } {
  const interfaces = virtioInterfaces(option);
  const transport = new VirtioPci(device, {
    interrupts: context.interrupts,
    memory: context.space,
    vectors: option.properties.number('vectors', { least: 0, most: 2048 }),
    ioeventfd: option.properties.on('ioeventfd', true),
    classCode,
    onDoorbell: context.wakeDevice,
    ...interfaces,
  });
  const slot = context.firmware(context.pci.plug(transport.pci, option.slot));
  const driver = interfaces.modern
    ? new VirtioPciDriver(context.bus, slot, context.vectors)
    : new VirtioPciLegacyDriver(context.bus, slot, context.vectors);
  return { transport, driver, gsi: context.gsiOf(transport.pci) };
}
