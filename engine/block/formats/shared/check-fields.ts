/**
 * Refusals of damaged or unsupported headers, all in the same words: which field, where it lies, what it holds, what would have been
 * accepted. Every format throws `<format>.bad-field` and `<format>.unsupported` through these.
 */
import { PlatterError } from '../../../errors.ts';

/** Checks one structure of one image. */
export interface FieldCheck {
  /** Throws `<format>.bad-field` unless `accepted`. `expected` completes "expected …". */
  field(name: string, value: unknown, accepted: boolean, expected: string): void;
  /** Throws `<format>.unsupported` when `refused`: the image may be sound, but this reader cannot serve it. */
  unsupported(name: string, value: unknown, refused: boolean, expected: string): void;
}

/** `offsetOf` answers a field's byte offset in the file, where the structure has one. */
export function checkFields(
  format: string,
  image: string,
  offsetOf: (field: string) => number | undefined = () => undefined,
): FieldCheck {
  const fail = (kind: string, name: string, value: unknown, expected: string): never => {
    const offset = offsetOf(name);
    const where = offset === undefined || Number.isNaN(offset) ? '' : ` at offset ${offset}`;
    const shown = printable(value);
    const verdict =
      kind === 'bad-field' ? 'The image is damaged or not what it claims to be.' : 'It is not supported.';
    throw new PlatterError(
      `${format}.${kind}`,
      `${image}: ${format} field ${name}${where} is ${shown}, expected ${expected}. ${verdict}`,
      { image, field: name, offset, value: shown, expected },
    );
  };
  return {
    field: (name, value, accepted, expected) => {
      if (!accepted) {
        fail('bad-field', name, value, expected);
      }
    },
    unsupported: (name, value, refused, expected) => {
      if (refused) {
        fail('unsupported', name, value, expected);
      }
    },
  };
}

/** A value as one short line: numbers of formats in hexadecimal when large, text without control characters. */
function printable(value: unknown): string {
  if (typeof value === 'bigint') {
    return `0x${value.toString(16)}`;
  }
  const plain = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return plain.length > 120 ? `${plain.slice(0, 120)}…` : plain;
}

/** Whether `value` is a power of two and at least 1. */
export function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}

/** `value` rounded up to a multiple of `unit`. Both may pass 2^32. */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
