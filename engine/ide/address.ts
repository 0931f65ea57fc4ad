/**
 * The address of a command in the task file (hw/ide/core.c, `ide_get_sector`, `ide_set_sector`): LBA48, LBA28, or cylinder, head and
 * sector, as the device register says.
 */
import { DEVICE } from './ata.ts';

/** The registers that hold it, and the geometry that cylinders are counted by. */
export interface AddressRegisters {
  lbaLow: number;
  lbaMid: number;
  lbaHigh: number;
  device: number;
  previous: { lbaLow: number; lbaMid: number; lbaHigh: number };
  lba48: boolean;
  heads: number;
  track: number;
}

/** In sectors; below 0 for sector 0 of the first track. */
export function addressOf(drive: AddressRegisters): number {
  const low = drive.lbaLow + drive.lbaMid * 0x100 + drive.lbaHigh * 0x1_0000;
  if ((drive.device & DEVICE.lba) === 0) {
    const track = (drive.lbaHigh * 256 + drive.lbaMid) * drive.heads + (drive.device & DEVICE.head);
    return track * drive.track + drive.lbaLow - 1;
  }
  if (!drive.lba48) return (drive.device & DEVICE.head) * 0x100_0000 + low;
  const { lbaLow, lbaMid, lbaHigh } = drive.previous;
  return (lbaHigh * 0x1_0000 + lbaMid * 0x100 + lbaLow) * 0x100_0000 + low;
}

/** Writes a sector's address into them. */
export function setAddress(drive: AddressRegisters, sector: number): void {
  const byte = (shift: number): number => Math.floor(sector / 2 ** shift) & 0xff;
  if ((drive.device & DEVICE.lba) === 0) {
    const cylinder = drive.heads * drive.track;
    // A geometry of nothing, which INITIALIZE DEVICE PARAMETERS can make, has no place for any sector.
    const rest = cylinder === 0 ? 0 : sector % cylinder;
    const number = cylinder === 0 ? 0 : Math.floor(sector / cylinder);
    drive.lbaHigh = (number >> 8) & 0xff;
    drive.lbaMid = number & 0xff;
    const head = drive.track === 0 ? 0 : Math.floor(rest / drive.track) & DEVICE.head;
    drive.device = (drive.device & ~DEVICE.head) | head;
    drive.lbaLow = drive.track === 0 ? 0 : ((rest % drive.track) + 1) & 0xff;
    return;
  }
  drive.lbaLow = byte(0);
  drive.lbaMid = byte(8);
  drive.lbaHigh = byte(16);
  if (drive.lba48) {
    drive.previous.lbaLow = byte(24);
    drive.previous.lbaMid = byte(32);
    drive.previous.lbaHigh = byte(40);
  } else {
    drive.device = (drive.device & ~DEVICE.head) | (byte(24) & DEVICE.head);
  }
}
