/** Two PCs with the AHCI controller of the ICH9: Platter's, and QEMU's `q35` over qtest. */
import { Ahci } from '#engine/ide/ahci/hba.ts';
import type { IdeDriveOptions } from '#engine/ide/options.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import type { Board } from './board.ts';
import { machine } from './machine-board.ts';

/** Slot and function of the AHCI controller in QEMU's `q35`. */
export const AHCI_SLOT = 0x1f;
export const AHCI_FUNCTION = 2;

export function platterQ35(drives: readonly (IdeDriveOptions | undefined)[]): Board {
  const { memory, space, io, trace, interrupts, board } = machine(() => device.process());
  const host = new HostIo(trace);
  const device = new Ahci({ name: 'ahci', memory, trace, host, interrupts, drives, multifunction: true });
  new PciRoot(space, io).plug(device.pci, AHCI_SLOT, AHCI_FUNCTION);
  return board;
}
