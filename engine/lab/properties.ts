/** The properties of one option of the command line, read as QEMU reads them. */
import { PlatterError } from '../errors.ts';
import type { Option } from '../qemu/model.ts';

/** The last value of `key=`, as in QEMU. */
export function param(option: Option | undefined, key: string): string | undefined {
  return option?.params.findLast((entry) => entry.key === key)?.value;
}

const ON = new Set(['on', 'yes', 'true', 'y']);

export class Properties {
  readonly #option: Option | undefined;

  /** Undefined: a device that no `-device` names, with nothing but defaults. */
  constructor(option: Option | undefined) {
    this.#option = option;
  }

  text(key: string): string | undefined {
    return param(this.#option, key);
  }

  on(key: string, otherwise: boolean): boolean {
    const value = this.text(key);
    return value === undefined ? otherwise : ON.has(value);
  }

  /** A decimal or `0x` number with QEMU's size suffixes. Throws `lab.bad-value`. */
  number(key: string, limits: { least: number; most: number }): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const match = /^(0x[0-9a-f]+|\d+)([kmg]?)$/i.exec(text);
    const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match?.[2].toLowerCase() ?? ''] ?? 1;
    const value = match === null ? NaN : Number(match[1]) * unit;
    if (value >= limits.least && value <= limits.most) return value;
    throw new PlatterError(
      'lab.bad-value',
      `${key}=${text}: expected a number from ${limits.least} to ${limits.most}`,
      { option: key, value: text, expected: `${limits.least}–${limits.most}` },
    );
  }

  /** Throws `lab.bad-value`. */
  powerOfTwo(key: string, most: number): number | undefined {
    const value = this.number(key, { least: 2, most });
    if (value === undefined || (value & (value - 1)) === 0) return value;
    throw new PlatterError('lab.bad-value', `${key}=${value}: expected a power of two`, {
      option: key,
      value: String(value),
      expected: '2^n',
    });
  }
}

/** The given members without those that are undefined, for defaults to stand under. */
export function given<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>;
}
