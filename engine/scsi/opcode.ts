/** Operation codes (SPC-4 annex E.3) and service actions, and the length that a code gives its CDB. Their names: trace/scsi-names.ts. */

/** Codes of the commands that Platter's targets know. */
export const OPCODE = {
  testUnitReady: 0x00,
  requestSense: 0x03,
  formatUnit: 0x04,
  read6: 0x08,
  write6: 0x0a,
  inquiry: 0x12,
  modeSelect6: 0x15,
  reserve6: 0x16,
  release6: 0x17,
  modeSense6: 0x1a,
  startStopUnit: 0x1b,
  preventAllowMediumRemoval: 0x1e,
  readCapacity10: 0x25,
  read10: 0x28,
  write10: 0x2a,
  seek10: 0x2b,
  writeAndVerify10: 0x2e,
  verify10: 0x2f,
  synchronizeCache10: 0x35,
  writeSame10: 0x41,
  unmap: 0x42,
  readToc: 0x43,
  getConfiguration: 0x46,
  getEventStatusNotification: 0x4a,
  readDiscInformation: 0x51,
  modeSelect10: 0x55,
  reserve10: 0x56,
  release10: 0x57,
  modeSense10: 0x5a,
  persistentReserveIn: 0x5e,
  persistentReserveOut: 0x5f,
  read16: 0x88,
  compareAndWrite: 0x89,
  write16: 0x8a,
  writeAndVerify16: 0x8e,
  verify16: 0x8f,
  synchronizeCache16: 0x91,
  writeSame16: 0x93,
  serviceActionIn16: 0x9e,
  reportLuns: 0xa0,
  maintenanceIn: 0xa3,
  read12: 0xa8,
  write12: 0xaa,
  readDvdStructure: 0xad,
  writeAndVerify12: 0xae,
  verify12: 0xaf,
  mechanismStatus: 0xbd,
} as const;

/** Service actions of SERVICE ACTION IN(16) (SBC-3) and MAINTENANCE IN (SPC-4). */
export const SERVICE_ACTION = {
  readCapacity16: 0x10,
  getLbaStatus: 0x12,
  reportSupportedOperationCodes: 0x0c,
} as const;

/** The CDB's length in bytes by its group code (SPC-4 section 4.2.5.1), or 0 for groups without a fixed length. */
export function cdbLength(opcode: number): 6 | 10 | 12 | 16 | 0 {
  switch (opcode >> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case 4:
      return 16;
    case 5:
      return 12;
    default:
      return 0;
  }
}
