/** Platter's side of a machine with a virtio-scsi: in slot 4 of the root bus, or on a virtio-mmio transport. */
import { HostIo } from '#engine/machine/host-io.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import { VirtioScsi, type VirtioScsiOptions } from '#engine/virtio/scsi/device.ts';
import type { ScsiProperties } from '#engine/virtio/scsi/options.ts';
import { VirtioMmio } from '#engine/virtio/transport/mmio.ts';
import { VirtioPci } from '#engine/virtio/transport/pci.ts';
import { MMIO_AT, SLOT, type Board } from './board.ts';
import { machine, type Machine } from './machine-board.ts';

export interface ScsiBoard {
  board: Board;
  device: VirtioScsi;
}

export function platterScsiBoard(
  properties: Partial<ScsiProperties> = {},
  interfaces: { legacy: boolean; modern: boolean } = { legacy: false, modern: true },
  irqfd = false,
  errors: Pick<VirtioScsiOptions, 'runState' | 'onIoError'> = {},
): ScsiBoard {
  const { device, interrupts, space, io, board } = withHost(properties, irqfd, errors);
  const transport = new VirtioPci(device, { interrupts, memory: space, classCode: 0x01_0000, ...interfaces });
  new PciRoot(space, io).plug(transport.pci, SLOT);
  return { board, device };
}

/** Version 2 of the transport. */
export function platterScsiMmioBoard(properties: Partial<ScsiProperties>): ScsiBoard {
  const { device, space, line, board } = withHost(properties, false);
  space.map(MMIO_AT, new VirtioMmio(device, { memory: space, line }));
  return { board, device };
}

/** The transport is the caller's. */
function withHost(
  properties: Partial<ScsiProperties>,
  irqfd: boolean,
  errors: Pick<VirtioScsiOptions, 'runState' | 'onIoError'> = {},
): Machine & { device: VirtioScsi } {
  const process = (): void => void device.process();
  const parts = machine(process);
  const { memory, trace } = parts;
  const device: VirtioScsi = new VirtioScsi({
    name: 'scsi',
    memory,
    trace,
    host: new HostIo(trace, { onReady: process }),
    onReady: process,
    properties,
    irqfd,
    ...errors,
  });
  return { ...parts, device };
}
