/** One row of a hex view as runs of text, so that a row is a few elements and not thirty-two. */
export const ROW_BYTES = 16;

export interface Run {
  text: string;
  /** `zero` bytes step back, `gap` is what has not arrived. */
  look: 'zero' | 'byte' | 'gap';
  /** Index of the header field that the bytes belong to, or -1. */
  field: number;
}

export interface HexRow {
  offset: number;
  /** Number of bytes that the row has: fewer at the end. */
  length: number;
  hex: Run[];
  ascii: Run[];
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** What a byte looks like as text: itself when it is printable ASCII, else a dot. */
export function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
}

/**
 * @param at the byte at an offset, -1 when it is not there yet
 * @param fieldOf the header field that holds an offset, or -1
 */
export function hexRow(
  offset: number,
  size: number,
  at: (offset: number) => number,
  fieldOf: (offset: number) => number,
): HexRow {
  const length = Math.max(0, Math.min(ROW_BYTES, size - offset));
  const hex: Run[] = [];
  const ascii: Run[] = [];
  const add = (runs: Run[], text: string, look: Run['look'], field: number) => {
    const last = runs.at(-1);
    if (last !== undefined && last.look === look && last.field === field) last.text += text;
    else runs.push({ text, look, field });
  };
  for (let i = 0; i < length; i += 1) {
    const byte = at(offset + i);
    const look = byte < 0 ? 'gap' : byte === 0 ? 'zero' : 'byte';
    const field = fieldOf(offset + i);
    const space = i === ROW_BYTES - 1 ? '' : i === 7 ? '  ' : ' ';
    add(hex, (byte < 0 ? '··' : HEX[byte]) + space, look, field);
    add(ascii, byte < 0 ? ' ' : printable(byte), look, field);
  }
  return { offset, length, hex, ascii };
}

/** Characters from the start of the hex column to byte `index` of a row. */
export function hexColumn(index: number): number {
  return index * 3 + (index >= 8 ? 1 : 0);
}

/** The byte of a row at a character position of the hex column. */
export function byteAtColumn(column: number): number {
  const index = column >= 24.5 ? Math.floor((column - 1) / 3) : Math.floor(column / 3);
  return Math.min(ROW_BYTES - 1, Math.max(0, index));
}
