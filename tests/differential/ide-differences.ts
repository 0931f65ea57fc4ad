/**
 * Where Platter's IDE and AHCI controllers answer otherwise than QEMU 7.2's on purpose, or cannot be compared. Everything else is
 * compared line by line; the scripts keep away from these. What Platter does instead stands in ide-differences.test.ts.
 */
export type IdeDifferenceId =
  'no-tracks' | 'limit-of-one' | 'wide-access' | 'registers' | 'short-table' | 'no-master' | 'in-flight';

export interface IdeDifference {
  id: IdeDifferenceId;
  what: string;
  reason: string;
}

export const IDE_DIFFERENCES: readonly IdeDifference[] = [
  {
    id: 'no-tracks',
    what: 'INITIALIZE DEVICE PARAMETERS with a sector count of 0, then READ NATIVE MAX in CHS',
    reason: 'QEMU divides by the sectors of a track, which are none; Platter aborts the command.',
  },
  {
    id: 'limit-of-one',
    what: 'PACKET with a byte count limit of 1',
    reason:
      'Cut down to an even number that leaves no bytes: QEMU offers nothing for ever (with AHCI it does not come back). Platter aborts.',
  },
  {
    id: 'wide-access',
    what: 'A four byte access to the data port that spans two blocks of a disc',
    reason:
      'QEMU gives zeroes and stands still there; Platter has the whole piece in one buffer, as drives have (ATA/ATAPI-7, section 9.8).',
  },
  {
    id: 'registers',
    what: 'PRDs that name registers of devices',
    reason:
      'QEMU reads and writes them through a bounce buffer; Platter reaches memory only (hostile-inputs: devices, 6).',
  },
  {
    id: 'short-table',
    what: 'AHCI with a PRD table of length 0, or outside memory, for a DMA command',
    reason: 'QEMU ends with a failed assertion; Platter ends the command as one whose table is too short.',
  },
  {
    id: 'no-master',
    what: 'AHCI engines started while the function may not master the bus',
    reason: 'QEMU maps its one bounce buffer for the list; in Platter the engine does not start.',
  },
  {
    id: 'in-flight',
    what: 'SRST and a stopped bus master while a transfer to guest memory is under way',
    reason:
      'QEMU’s virtual CPU waits in the register access until the transfer is over; in Platter the drive stays busy until then, since a ' +
      'block node may answer later.',
  },
];
