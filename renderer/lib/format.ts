/** Numbers as text. Sizes are bytes; binary units as QEMU prints them. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `40 GiB`, `1.5 MiB`, `512 B`: three significant digits, binary units. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  // What would be rounded to 1024 of a unit is 1 of the next.
  if (value >= 1023.5 && unit < UNITS.length - 1) {
    value = 1;
    unit += 1;
  }
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  let text = value.toFixed(digits);
  if (digits > 0) text = text.replace(/\.?0+$/, '');
  return `${text} ${UNITS[unit]}`;
}

/** `1 234 567`, grouped by narrow no-break spaces, the same in every language. */
export function formatCount(value: number): string {
  const sign = value < 0 ? '-' : '';
  return (
    sign +
    Math.abs(value)
      .toString()
      .replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f')
  );
}

/** `0x1a000`, padded to `width` digits. */
export function formatHex(value: number, width = 1): string {
  return `0x${value.toString(16).padStart(width, '0')}`;
}

/** In the radix that the person chose. */
export function formatNumber(value: number, radix: 'hex' | 'dec', width = 1): string {
  return radix === 'hex' ? formatHex(value, width) : formatCount(value);
}

/**
 * Reads a size or an offset as people type it: `0x1000`, `4096`, `64k`, `1.5G`, `2 MiB`; spaces and underscores are ignored.
 * Answers null for anything else and for what is no whole number of bytes.
 */
export function parseOffset(text: string): number | null {
  const bare = text.replace(/[\s_\u202f]/g, '').toLowerCase();
  if (/^0x[0-9a-f]+$/.test(bare)) return safe(Number.parseInt(bare.slice(2), 16));
  const match = /^(\d+(?:\.\d+)?)(?:([kmgtpe])(?:i?b)?|b)?$/.exec(bare);
  if (match === null) return null;
  const power = match[2] === undefined ? 0 : 'kmgtpe'.indexOf(match[2]) + 1;
  return safe(Number(match[1]) * 1024 ** power);
}

function safe(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null;
}
