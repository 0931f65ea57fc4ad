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

/** What the scripts keep away from; the tests of the device show what Platter does. */
export const NOT_COMPARED: readonly { what: string; reason: string }[] = [
  {
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
