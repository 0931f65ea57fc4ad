/**
 * 64-bit fields as checked numbers. Byte offsets and sizes are numbers up to 2^53 everywhere above this folder; a larger value
 * in an image is an error that names its field. Only here may a raw 64-bit value be a BigInt.
 */
import { PlatterError } from '../errors.ts';

const TWO_32 = 0x1_0000_0000;

/** Joins two 32-bit halves; throws `bytes.too-large` above 2^53 - 1. */
export function joinU64(high: number, low: number, field: string, offset: number): number {
  if (high > 0x1f_ffff) {
    const value = (BigInt(high) << 32n) | BigInt(low);
    throw new PlatterError('bytes.too-large', `${field} at byte ${offset} is ${value}: larger than 2^53`, {
      field,
      offset,
      value: value.toString(),
      expected: 'at most 9007199254740991',
    });
  }
  return high * TWO_32 + low;
}

/** The upper 32 bits of a number up to 2^53. */
export function highHalf(value: number): number {
  return Math.floor(value / TWO_32);
}

/** The lower 32 bits of a number up to 2^53. */
export function lowHalf(value: number): number {
  return value % TWO_32;
}
