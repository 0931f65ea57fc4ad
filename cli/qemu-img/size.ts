/** Sizes as qemu-img writes them: three significant digits and a binary unit (`util/cutils.c`, size_to_str). */

const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** `1.06 MiB`, `64 MiB`, `0 B`. From 1000 of a unit on the next one is taken. */
export function sizeText(bytes: number): string {
  let unit = 0;
  while (bytes / 1024 ** unit >= 1000 && unit < UNITS.length - 1) unit += 1;
  return `${threeDigits(bytes, unit)} ${UNITS[unit]}B`;
}

/** As C's `%0.3g`: what lies in the middle goes to the even digit (JavaScript's own rounding goes up). */
function threeDigits(bytes: number, unit: number): string {
  const value = bytes / 1024 ** unit;
  const decimals = value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
  const divisor = 1024n ** BigInt(unit);
  const shifted = BigInt(bytes) * 10n ** BigInt(decimals);
  const below = shifted / divisor;
  const rest = (shifted % divisor) * 2n;
  const up = rest > divisor || (rest === divisor && below % 2n === 1n);
  const rounded = Number(up ? below + 1n : below) / 10 ** decimals;
  return rounded >= 1000 ? rounded.toExponential().replace(/e\+(\d)$/, 'e+0$1') : String(rounded);
}
