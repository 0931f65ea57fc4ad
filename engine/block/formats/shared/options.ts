/** Options of `create`: known by name, of the right kind, or refused in words. */
import { PlatterError } from '../../../errors.ts';
import type { CreateOptions } from '../../format.ts';
import { alignUp } from './check-fields.ts';

/** Throws `block.unknown-option` for anything but `size` and what `known` lists. */
export function knownOptions(format: string, options: CreateOptions, known: readonly string[]): void {
  for (const option of Object.keys(options)) {
    if (option === 'size' || options[option] === undefined || known.includes(option)) continue;
    throw new PlatterError('block.unknown-option', `The ${format} format has no option "${option}"`, {
      option,
      expected: ['size', ...known].join(', '),
    });
  }
}

/** The option as one of `choices`; the first is the default. Throws `block.bad-option`. */
export function choice<T extends string>(
  options: Omit<CreateOptions, 'size'>,
  option: string,
  choices: readonly T[],
): T {
  const value = options[option];
  if (value === undefined) return choices[0];
  const found = choices.find((one) => one === value);
  if (found === undefined) throw badOption(option, value, choices.join(', '));
  return found;
}

/** A switch: `true`, `'on'` and `'yes'` are on. Throws `block.bad-option` for other text. */
export function flag(options: CreateOptions, option: string, otherwise: boolean): boolean {
  const value = options[option];
  if (value === undefined) return otherwise;
  if (value === true || value === 'on' || value === 'yes' || value === 'true') return true;
  if (value === false || value === 'off' || value === 'no' || value === 'false') return false;
  throw badOption(option, value, 'on or off');
}

/** A number of bytes. Throws `block.bad-option` unless `accepted`; `expected` says what would be. */
export function byteSize(
  options: Omit<CreateOptions, 'size'>,
  option: string,
  otherwise: number,
  accepted: (value: number) => boolean,
  expected: string,
): number {
  const value = options[option] === undefined ? otherwise : Number(options[option]);
  if (!Number.isSafeInteger(value) || value < 0 || !accepted(value)) {
    throw badOption(option, options[option], expected);
  }
  return value;
}

/** The disk's size in whole sectors, bytes; QEMU rounds up. Throws `block.bad-option` above `limit`. */
export function diskSize(options: CreateOptions, limit: number): number {
  return byteSize(
    { size: alignUp(options.size, 512) },
    'size',
    0,
    (value) => value <= limit,
    `at most ${limit} bytes`,
  );
}

export function badOption(option: string, value: unknown, expected: string): PlatterError {
  return new PlatterError(
    'block.bad-option',
    `Option ${option} cannot be ${String(value)}: expected ${expected}`,
    {
      option,
      value: String(value),
      expected,
    },
  );
}
