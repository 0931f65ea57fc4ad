/** Reading of option values as QEMU does (util/qemu-option.c, util/cutils.c). */

/** `on`/`off` and the other spellings of `qapi_bool_parse`; undefined when it is none. */
export function readBool(value: string | undefined): boolean | undefined {
  if (value === 'on' || value === 'yes' || value === 'true' || value === 'y') return true;
  if (value === 'off' || value === 'no' || value === 'false' || value === 'n') return false;
  return undefined;
}

/** A number: decimal, `0x…` or `0…` octal (`qemu_strtou64` with base 0). */
export function readNumber(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^0x[0-9a-f]+$/i.test(value)) return Number.parseInt(value, 16);
  if (/^0[0-7]+$/.test(value)) return Number.parseInt(value, 8);
  if (/^-?\d+$/.test(value)) return Number(value);
  return undefined;
}

const UNITS: Record<string, number> = { b: 0, k: 1, m: 2, g: 3, t: 4, p: 5, e: 6 };

/** A size in bytes with an optional suffix, powers of 1024 (`qemu_strtosz`). */
export function readSize(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const plain = readNumber(value);
  if (plain !== undefined) return plain;
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe])$/i.exec(value);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * 1024 ** UNITS[match[2].toLowerCase()]);
}

/** `id_wellformed` of util/id.c: a letter, then letters, digits, `-`, `.`, `_`. */
export function isIdentifier(id: string): boolean {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(id);
}

/** A table's own entry: names come from pasted text, and `constructor` is one too. */
export function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** A default as the line would have it: booleans are `on` and `off`, an empty text is `""`. */
export function asWritten(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return value === '' ? '""' : String(value);
}
