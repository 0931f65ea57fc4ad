/** The field of cells: how many fit, where each lies, which sizes a cell may have. */

/** Sides that a cell may have, and the gap to the next, in CSS pixels. */
export const CELL = 14;
const LARGER = [32, 28, 24, 20, 17];
export const GAP = 1;

export interface Field {
  columns: number;
  rows: number;
  /** Side of a cell. */
  cell: number;
}

function filled(width: number, height: number, cell: number): Field {
  return {
    columns: Math.max(1, Math.floor((width + GAP) / (cell + GAP))),
    rows: Math.max(1, Math.floor((height + GAP) / (cell + GAP))),
    cell,
  };
}

/** The field for a box; a small disk, of so many smallest cells, gets larger cells if all of them still fit. */
export function fieldIn(width: number, height: number, cells = Number.MAX_SAFE_INTEGER): Field {
  for (const cell of LARGER) {
    const field = filled(width, height, cell);
    if (field.columns * field.rows >= cells) return field;
  }
  return filled(width, height, CELL);
}

/** The smallest cell, in bytes: the image's cluster, or a sector when it has none. */
export function leastCell(clusterSize: number | undefined): number {
  return clusterSize === undefined ? 512 : Math.max(512, clusterSize);
}

/** The least power-of-two multiple of `least` with which the whole disk fits into the field. */
export function fittingCell(size: number, field: Field, least: number): number {
  let cell = least;
  while (cell * field.columns * field.rows < size) cell *= 2;
  return cell;
}

/** A top offset that is a whole row from the disk's start and leaves no empty rows at the end where rows remain above. */
export function clampTop(top: number, size: number, field: Field, cellBytes: number): number {
  const row = field.columns * cellBytes;
  const rows = Math.ceil(size / row);
  const last = Math.max(0, rows - field.rows);
  return Math.min(last, Math.max(0, Math.floor(top / row))) * row;
}

/** The index of the cell under a point of the field, or -1 outside of it. */
export function cellAt(x: number, y: number, field: Field): number {
  const column = Math.floor(x / (field.cell + GAP));
  const row = Math.floor(y / (field.cell + GAP));
  if (column < 0 || row < 0 || column >= field.columns || row >= field.rows) return -1;
  return row * field.columns + column;
}
