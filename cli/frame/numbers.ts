/** Numbers on the command line. */
import { UsageError } from './usage-error.ts';

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
  e: 2 ** 60,
};

/**
 * Bytes: a number with an optional suffix of powers of 1024, as qemu-img and fio have them: `4k`, `64KiB`, `1.5G`, `0x1000`.
 * Throws UsageError naming the option.
 */
export function parseSize(text: string, option: string): number {
  const hexadecimal = /^0x[0-9a-f]+$/i.test(text);
  const match = /^(\d+(?:\.\d+)?)([kmgtpe]?)(?:i?b)?$/i.exec(text);
  const value = hexadecimal
    ? Number(text)
    : match === null
      ? Number.NaN
      : Number(match[1]) * UNITS[match[2].toLowerCase()];
  if (Number.isSafeInteger(value)) return value;
  if (value > Number.MAX_SAFE_INTEGER)
    throw new UsageError(`option '${option}' cannot be '${text}': it has to be less than 8P (2^53 bytes)`);
  throw new UsageError(
    `option '${option}' cannot be '${text}': expected a number of bytes, such as 4096, 4k, 64M or 0x1000`,
  );
}

/** A whole number from `least` to `most`. Throws UsageError naming the option. */
export function parseCount(
  text: string,
  option: string,
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`option '${option}' cannot be '${text}': expected a whole number ${range}`);
}
