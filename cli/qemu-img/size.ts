/** Sizes as qemu-img writes them: three significant digits and a binary unit (`util/cutils.c`, size_to_str). */

const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** `1.06 MiB`, `64 MiB`, `0 B`. From 1000 of a unit on the next one is taken. */
export function sizeText(bytes: number): string {
  let unit = 0;
  while (bytes / 1024 ** unit >= 1000 && unit < UNITS.length - 1) unit += 1;
  return `${threeDigits(bytes / 1024 ** unit)} ${UNITS[unit]}B`;
}

/** As C's `%0.3g`. */
function threeDigits(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded >= 1000 ? rounded.toExponential().replace(/e\+(\d)$/, 'e+0$1') : String(rounded);
}
