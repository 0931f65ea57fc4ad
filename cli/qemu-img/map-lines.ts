/** The lines of `qemu-img map` (`qemu-img.c`, dump_map_entry). */
import type { MapExtent } from '#contract/images.ts';

export const TEXT_HEAD = `${'Offset'.padEnd(16)}${'Length'.padEnd(16)}${'Mapped to'.padEnd(16)}File`;

/** One row of the table for people. `offset` is set: the extent is stored plainly. */
export function textLine(extent: MapExtent, filename: string): string {
  return hex(extent.start) + hex(extent.length) + hex(extent.offset ?? 0) + filename;
}

/** One object of the JSON array, without the comma that follows. */
export function jsonLine(extent: MapExtent): string {
  const offset = extent.offset === undefined ? '' : `, "offset": ${extent.offset}`;
  return (
    `{ "start": ${extent.start}, "length": ${extent.length}, "depth": ${extent.depth}, "present": ${extent.present}, ` +
    `"zero": ${extent.zero}, "data": ${extent.data}${offset}}`
  );
}

/** What QEMU prints for a range of no length. */
export function emptyLine(start: number): string {
  return `{ "start": ${start}, "length": 0, "depth": 0, "present": false, "zero": false, "data": false}`;
}

/** C's `%#-16x`. */
function hex(value: number): string {
  return (value === 0 ? '0' : `0x${value.toString(16)}`).padEnd(16);
}
