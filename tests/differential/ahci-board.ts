/** Two PCs with the AHCI controller of the ICH9: Platter's, and QEMU's `q35` over qtest. */
import { Ahci, type AhciOptions } from '#engine/ide/ahci/hba.ts';
import type { IdeDriveOptions } from '#engine/ide/options.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import type { TraceRing } from '#engine/trace/ring.ts';
import type { Board } from './board.ts';
import { machine } from './machine-board.ts';

/** Slot and function of the AHCI controller in QEMU's `q35`. */
export const AHCI_SLOT = 0x1f;
export const AHCI_FUNCTION = 2;

export const platterQ35 = (drives: readonly (IdeDriveOptions | undefined)[]): Board =>
  platterQ35Machine(drives).board;

export function platterQ35Machine(
  drives: readonly (IdeDriveOptions | undefined)[],
  errors: Pick<AhciOptions, 'runState' | 'onIoError'> = {},
): { board: Board; device: Ahci; trace: TraceRing } {
  const { memory, space, io, trace, interrupts, board } = machine(() => device.process());
  const host = new HostIo(trace);
  const options = { name: 'ahci', memory, trace, host, interrupts, drives, multifunction: true };
  const device = new Ahci({ ...options, ...errors });
  new PciRoot(space, io).plug(device.pci, AHCI_SLOT, AHCI_FUNCTION);
  return { board, device, trace };
}
