/** `-o key=value,…` of qemu-img. */
import { UsageError } from '../frame/usage-error.ts';

const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Sizes with a suffix become bytes; everything else stays as it is, for the format to judge. Throws UsageError. */
export function parseCreateOptions(lists: readonly string[]): Record<string, string | number> {
  const options: Record<string, string | number> = {};
  for (const list of lists) {
    for (const pair of splitList(list)) {
      const equals = pair.indexOf('=');
      if (equals <= 0) throw new UsageError(`option '-o' cannot be '${list}': '${pair}' is not key=value`);
      const key = pair.slice(0, equals);
      if (key === 'size') throw new UsageError("option '-o' cannot set the size: it is that of the source");
      options[key] = sizeOr(pair.slice(equals + 1));
    }
  }
  return options;
}

/** At commas; two commas are one character. */
function splitList(list: string): string[] {
  return list
    .replaceAll(',,', '\0')
    .split(',')
    .map((pair) => pair.replaceAll('\0', ','));
}

function sizeOr(value: string): string | number {
  const match = /^(\d+(?:\.\d+)?)([kmgt])$/i.exec(value);
  return match === null ? value : Number(match[1]) * UNITS[match[2].toLowerCase()];
}
