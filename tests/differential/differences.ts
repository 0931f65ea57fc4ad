/** Where Platter answers otherwise than QEMU 7.2 on purpose. Each has its reason; everything that is not listed must be equal. */
export interface Difference {
  /** Transcript lines that it concerns. */
  line: RegExp;
  reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    line: /^request \d+ type (2|3|8|9|10|14|0xf+|\d+) sector .*used\.len/,
    reason:
      'QEMU 7.2 reports the size of all writable buffers for every request; section 2.7.8.2 wants what was written. ' +
      'Compared for reads and writes that succeed, which differ in nothing.',
  },
];

/** Whether the line is compared. */
export function isCompared(line: string): boolean {
  return !DIFFERENCES.some((difference) => difference.line.test(line));
}
