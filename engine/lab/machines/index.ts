/** The table from QEMU's names to what builds them. A new kind of hardware is one file beside this and one line here. */
import { ahci } from './ahci.ts';
import { piixIde } from './ide.ts';
import type { MachineKind } from './kind.ts';
import { vhostScsi, vhostUserBlk } from './vhost.ts';
import { virtioBlk, virtioBlkMmio } from './virtio-blk.ts';
import { virtioScsi, virtioScsiMmio } from './virtio-scsi.ts';

const KINDS: readonly MachineKind[] = [
  virtioBlk,
  virtioBlkMmio,
  virtioScsi,
  virtioScsiMmio,
  vhostScsi,
  vhostUserBlk,
  piixIde,
  ahci,
];

const byDriver = new Map(KINDS.flatMap((kind) => kind.drivers.map((driver) => [driver, kind])));

/** What builds the device (or the controller) with this name, or undefined. */
export function machineKind(driver: string): MachineKind | undefined {
  return byDriver.get(driver);
}

/** The names that the laboratory can build. */
export const DRIVABLE: readonly string[] = [...byDriver.keys()];
