/** Where Platter's virtio-scsi and its targets answer otherwise than QEMU 7.2 on purpose. Each has its reason; all else must be equal. */

export interface ScsiDifference {
  /** Lines of the transcript that it concerns. */
  line: RegExp;
  /** Makes both sides' lines equal where only this difference stands between them; without it the lines are left out. */
  same?: (line: string) => string;
  reason: string;
}

/** A byte of the data of a line, written over. */
const withByte =
  (at: number, hex: string) =>
  (line: string): string => {
    const start = line.indexOf(' = ') + 3 + at * 2;
    return line.slice(0, start) + hex + line.slice(start + 2);
  };

export const SCSI_DIFFERENCES: readonly ScsiDifference[] = [
  {
    line: /^command \d+ 1201b0\S* \S+ data = 00b0/,
    same: withByte(5, 'xx'),
    reason:
      'VPD page B0h, MAXIMUM COMPARE AND WRITE LENGTH: QEMU does not know COMPARE AND WRITE, Platter promises one block.',
  },
  {
    line: /^command \d+ (1a|5a)..(0a|4a|8a)/,
    reason:
      'MODE SENSE of the control page, 0Ah: QEMU has none. Platter answers; page code 3Fh leaves it out, as in QEMU.',
  },
  {
    line: /^queue \d used\.other flags/,
    reason: 'A packed ring’s WRITE flag in used descriptors: see differences.ts.',
  },
];

/** Opcodes that Platter's targets know and QEMU's emulated ones refuse as INVALID COMMAND OPERATION CODE: not sent by the scripts. */
export const EXTENSIONS: ReadonlyMap<number, string> = new Map([
  [0x5e, 'PERSISTENT RESERVE IN'],
  [0x5f, 'PERSISTENT RESERVE OUT'],
  [0x89, 'COMPARE AND WRITE'],
  [0x91, 'SYNCHRONIZE CACHE(16)'],
  [0xa3, 'REPORT SUPPORTED OPERATION CODES'],
]);

/** What is not sent because QEMU 7.2 does something that no target should do; the tests of the device show what Platter does. */
export const NOT_SENT: readonly {
  what: string;
  reason: string;
  /** The CDBs that it means, where they alone say it. */
  cdb?: (bytes: readonly number[]) => boolean;
}[] = [
  {
    what: 'FORMAT UNIT with a parameter list',
    cdb: ([code, flags]) => code === 0x04 && (flags & 0x10) !== 0,
    reason: 'QEMU 7.2 ends itself (abort in scsi_disk_emulate_write_data). Platter refuses the field.',
  },
  {
    what: 'WRITE SAME with NDOB',
    cdb: ([code, flags]) => (code === 0x41 || code === 0x93) && (flags & 1) !== 0,
    reason:
      'QEMU 7.2 answers GOOD and writes nothing, since nothing is to be moved. Platter writes zeroes (SBC-3 section 5.49).',
  },
  {
    what: 'VERIFY past the end of the medium, or with VRPROTECT',
    cdb: ([code, flags]) => [0x2f, 0x8f, 0xaf].includes(code) && (flags & 0xe0) !== 0,
    reason:
      'QEMU looks at BYTCHK only. Platter answers LBA OUT OF RANGE, INVALID FIELD IN CDB (SBC-3 section 5.31).',
  },
  {
    what: 'READ or WRITE with buffers larger than the transfer',
    reason:
      'QEMU moves whatever the buffers hold, past the range that the CDB names. Platter moves what the CDB says; the rest is residual.',
  },
  {
    what: 'a header or an answer that is cut into several descriptors',
    reason:
      'Without VIRTIO_F_ANY_LAYOUT, which a modern device does not offer, QEMU takes the first buffer of each kind for the whole header. ' +
      'Section 2.7.4 wants framing not to matter.',
  },
  {
    what: 'UNMAP with more than 255 descriptors',
    reason:
      'Page B0h says 255; QEMU takes more all the same. SBC-3 section 5.28: INVALID FIELD IN PARAMETER LIST.',
  },
  {
    what: 'MODE SELECT with a block length below 512',
    reason: 'QEMU 7.2 divides by it (CVE-2023-42467). Platter keeps its block length.',
  },
  {
    what: 'GET LBA STATUS',
    cdb: ([code, action]) => code === 0x9e && (action & 0x1f) === 0x12,
    reason: 'QEMU refuses the service action. Platter answers from the format’s own map.',
  },
];

/** The transcript as it is compared. */
export function compared(log: readonly string[]): string[] {
  return log.flatMap((line) => {
    const difference = SCSI_DIFFERENCES.find((known) => known.line.test(line));
    if (difference === undefined) return [line];
    return difference.same === undefined ? [] : [difference.same(line)];
  });
}
