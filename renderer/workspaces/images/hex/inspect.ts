/** The bytes at a place read as numbers of every width and order, as data inspectors do. */
export interface Reading {
  /** `u16 le`, `i32 be`, … */
  type: string;
  value: string;
}

/** @param bytes what stands from the cursor on; widths that do not fit are left out */
export function readings(bytes: Uint8Array): Reading[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: Reading[] = [];
  const add = (type: string, width: number, read: (little: boolean) => number | bigint) => {
    if (bytes.length < width) return;
    rows.push(
      { type: `${type} le`, value: String(read(true)) },
      { type: `${type} be`, value: String(read(false)) },
    );
  };
  if (bytes.length > 0) {
    rows.push(
      { type: 'u8', value: String(view.getUint8(0)) },
      { type: 'i8', value: String(view.getInt8(0)) },
    );
  }
  add('u16', 2, (little) => view.getUint16(0, little));
  add('u32', 4, (little) => view.getUint32(0, little));
  add('i32', 4, (little) => view.getInt32(0, little));
  add('u64', 8, (little) => view.getBigUint64(0, little));
  return rows;
}
