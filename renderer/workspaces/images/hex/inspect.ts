/** The bytes at a place read as numbers of every width and order, as data inspectors do. */
export interface Reading {
  /** `u16`, `i32`, …: message key `images.inspect.<type>` is not needed, the name is the field's own. */
  type: string;
  le: string;
  be: string;
}

/** @param bytes what stands from the cursor on; widths that do not fit are left out */
export function readings(bytes: Uint8Array): Reading[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: Reading[] = [];
  if (bytes.length >= 1)
    rows.push({ type: 'u8', le: String(view.getUint8(0)), be: String(view.getUint8(0)) });
  if (bytes.length >= 2) {
    rows.push({ type: 'u16', le: String(view.getUint16(0, true)), be: String(view.getUint16(0)) });
  }
  if (bytes.length >= 4) {
    rows.push({ type: 'u32', le: String(view.getUint32(0, true)), be: String(view.getUint32(0)) });
    rows.push({ type: 'i32', le: String(view.getInt32(0, true)), be: String(view.getInt32(0)) });
  }
  if (bytes.length >= 8) {
    rows.push({ type: 'u64', le: String(view.getBigUint64(0, true)), be: String(view.getBigUint64(0)) });
  }
  return rows;
}
