/**
 * Where Platter's IDE and AHCI controllers answer otherwise than QEMU 7.2's on purpose, or cannot be compared. Everything else is
 * compared line by line; the scripts keep away from these. The tests that name them stand in engine/ide.
 */
export interface IdeDifference {
  what: string;
  reason: string;
}

export const IDE_DIFFERENCES: readonly IdeDifference[] = [
  {
    what: 'INITIALIZE DEVICE PARAMETERS with a sector count of 0, then READ NATIVE MAX in CHS',
    reason: 'QEMU divides by the sectors of a track, which are none; Platter aborts the command.',
  },
  {
    what: 'PACKET with a byte count limit of 1',
    reason:
      'Cut down to an even number that leaves no bytes: QEMU offers nothing for ever (with AHCI it does not come back). Platter aborts.',
  },
  {
    what: 'A four byte access to the data port that spans two blocks of a disc',
    reason:
      'QEMU gives zeroes and stands still there; Platter has the whole piece in one buffer, as drives have (ATA/ATAPI-7, section 9.8).',
  },
  {
    what: 'PRDs that name registers of devices',
    reason:
      'QEMU reads and writes them through a bounce buffer; Platter reaches memory only (hostile-inputs: devices, 6).',
  },
  {
    what: 'AHCI with a PRD table of length 0, or outside memory, for a DMA command',
    reason: 'QEMU ends with a failed assertion; Platter ends the command as one whose table is too short.',
  },
  {
    what: 'AHCI engines started while the function may not master the bus',
    reason: 'QEMU maps its one bounce buffer for the list; in Platter the engine does not start.',
  },
  {
    what: 'SRST and a stopped bus master while a transfer to guest memory is under way',
    reason:
      'QEMU’s virtual CPU waits in the register access until the transfer is over; in Platter the drive stays busy until then, since a ' +
      'block node may answer later.',
  },
];
