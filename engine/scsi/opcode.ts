/** Operation codes (SPC-4 annex E.3), their names, and what a CDB says of its length, address and transfer. */

/** Codes of the commands that Platter's targets know. */
export const OPCODE = {
  testUnitReady: 0x00,
  requestSense: 0x03,
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
  writeAndVerify12: 0xae,
  verify12: 0xaf,
} as const;

const NAMES: Readonly<Record<number, string>> = {
  0x00: 'TEST UNIT READY',
  0x03: 'REQUEST SENSE',
  0x08: 'READ(6)',
  0x0a: 'WRITE(6)',
  0x12: 'INQUIRY',
  0x15: 'MODE SELECT(6)',
  0x16: 'RESERVE(6)',
  0x17: 'RELEASE(6)',
  0x1a: 'MODE SENSE(6)',
  0x1b: 'START STOP UNIT',
  0x1e: 'PREVENT ALLOW MEDIUM REMOVAL',
  0x25: 'READ CAPACITY(10)',
  0x28: 'READ(10)',
  0x2a: 'WRITE(10)',
  0x2b: 'SEEK(10)',
  0x2e: 'WRITE AND VERIFY(10)',
  0x2f: 'VERIFY(10)',
  0x35: 'SYNCHRONIZE CACHE(10)',
  0x41: 'WRITE SAME(10)',
  0x42: 'UNMAP',
  0x43: 'READ TOC/PMA/ATIP',
  0x46: 'GET CONFIGURATION',
  0x4a: 'GET EVENT STATUS NOTIFICATION',
  0x55: 'MODE SELECT(10)',
  0x56: 'RESERVE(10)',
  0x57: 'RELEASE(10)',
  0x5a: 'MODE SENSE(10)',
  0x5e: 'PERSISTENT RESERVE IN',
  0x5f: 'PERSISTENT RESERVE OUT',
  0x88: 'READ(16)',
  0x89: 'COMPARE AND WRITE',
  0x8a: 'WRITE(16)',
  0x8e: 'WRITE AND VERIFY(16)',
  0x8f: 'VERIFY(16)',
  0x91: 'SYNCHRONIZE CACHE(16)',
  0x93: 'WRITE SAME(16)',
  0x9e: 'SERVICE ACTION IN(16)',
  0xa0: 'REPORT LUNS',
  0xa3: 'MAINTENANCE IN',
  0xa8: 'READ(12)',
  0xaa: 'WRITE(12)',
  0xae: 'WRITE AND VERIFY(12)',
  0xaf: 'VERIFY(12)',
};

/** Service actions of SERVICE ACTION IN(16) (SBC-3) and MAINTENANCE IN (SPC-4). */
export const SERVICE_ACTION = {
  readCapacity16: 0x10,
  getLbaStatus: 0x12,
  reportSupportedOperationCodes: 0x0c,
} as const;

/** The command's name as the standards write it, or its code in hexadecimal. */
export function opcodeName(opcode: number): string {
  return NAMES[opcode] ?? `command ${opcode.toString(16).padStart(2, '0')}h`;
}

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
