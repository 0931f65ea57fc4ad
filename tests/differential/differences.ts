/** Where Platter answers otherwise than QEMU 7.2 on purpose. Each has its reason; everything that is not listed must be equal. */
export interface Difference {
  /** Transcript lines that it concerns. */
  line: RegExp;
  reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    line: /used\.len/,
    reason:
      'QEMU 7.2 reports the size of all writable buffers whatever it wrote into them; section 2.7.8.2 wants what was written. ' +
      'Requests that fill their buffers are compared all the same (see `isCompared`).',
  },
  {
    line: /used\.other flags/,
    reason:
      'QEMU 7.2 leaves WRITE out of the used descriptors of a packed ring; section 2.8.5 says that only with it the length counts. ' +
      'Drivers take the length either way.',
  },
  {
    line: /^request \d+ type [23] sector \d+ buffer 2 /,
    reason:
      'Type 2 was SCSI_CMD, which virtio 1.2 no longer has: any unknown type is UNSUPP (section 5.2.6.2). QEMU still looks at the ' +
      'shape of such a request first and says IOERR.',
  },
];

/**
 * What the scripts keep away from or leave out, of all devices; the tests of the devices show what Platter does. Where a script does so it
 * says `differs:` and the name; differences.test.ts holds both against each other.
 */
export const NOT_COMPARED: readonly { id: string; what: string; reason: string }[] = [
  {
    id: 'failed-data',
    what: 'what a read that failed has left in the guest’s buffer, and the length that it gives back',
    reason:
      'It may be anything (virtio 1.2, section 2.7.8.2; SAM-5): QEMU’s buffer depends on how far the host’s thread came, and its length on ' +
      'the size of the buffers.',
  },
  {
    id: 'retried-residual',
    what: 'the residual of a SCSI command that was tried again after the machine stood still',
    reason:
      'QEMU 7.2 takes the transfer off the residual whenever it begins (scsi_do_read, scsi_write_data), also when it begins once more, so ' +
      'that less than nothing is left. Platter counts what was moved.',
  },
  {
    id: 'scsi-written',
    what: 'the length that virtio-scsi gives back for a command that moved less than its buffers hold, or wrote',
    reason:
      'QEMU 7.2 gives back the size of the answer and of the data’s buffers, whatever it wrote; section 2.7.8.2 wants what was written.',
  },
  {
    id: 'trace-figures',
    what: 'pointers, the upper half of tags, directions, and lengths of used elements in the events',
    reason:
      'An event of Platter’s is a row of four numbers; the length is that of `scsi-written`, the place in a batch that of QEMU’s batch.',
  },
  {
    id: 'virtio-registers',
    what: 'virtio buffers that are no memory: registers of devices, or addresses where nobody is',
    reason:
      'QEMU maps the first of them through its one bounce buffer and reads or writes what is there. Platter reaches memory only and asks ' +
      'for a reset (hostile-inputs: devices, 6).',
  },
  {
    id: 'mmio-queue-reset',
    what: 'QueueReset of virtio-mmio, with RING_RESET negotiated',
    reason:
      'QEMU 7.2 offers the feature on this transport and lacks its register (section 4.2.2). Platter has it ' +
      '(engine/virtio/transport/mmio.test.ts).',
  },
  {
    id: 'packed-endless',
    what: 'an empty buffer, and a table of half an entry, in a packed ring',
    reason:
      'QEMU 7.2 never comes back from them. Platter asks for a reset (engine/virtio/queue/hostile.test.ts).',
  },
  {
    id: 'machine-timer',
    what: 'lines 0 and 8 of a PC whose machine runs',
    reason: 'They are those of its timer and its clock, which a comparison of disks does not have.',
  },
  {
    id: 'ahci-attention',
    what: 'a packet command over AHCI that finds a unit attention still pending when its medium has just been changed',
    reason: 'QEMU’s AHCI does not end it; the script fetches the attention first.',
  },
  {
    id: 'mmio-line',
    what: 'the interrupt line of a virtio-mmio device that asks to be reset, after the driver has acknowledged it',
    reason:
      'QEMU leaves it up until the reset (virtio_notify_vector does nothing for a broken device). Section 4.2.2: the bits that the ' +
      'driver writes to InterruptACK are taken back, and the line follows them.',
  },
];

/** Requests after which `len` must be the same: reads and writes that are done in full. */
const FULL = / type [01] /;

/** Whether a line of the transcript is compared; `ok` tells whether its request succeeded. */
export function isCompared(line: string, ok: boolean): boolean {
  if (line.includes('used.len') && ok && FULL.test(line)) return true;
  return !DIFFERENCES.some((difference) => difference.line.test(line));
}
