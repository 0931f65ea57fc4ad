/** What a script saw, one line each: what is compared between Platter and QEMU. */

export type Value = number | bigint | string | Uint8Array;
export type Note = (key: string, value: Value) => void;

export class Transcript {
  readonly lines: string[] = [];

  /** Numbers and bytes are written in hexadecimal. */
  readonly note: Note = (key, value) => {
    let text = String(value);
    if (typeof value === 'number') text = `0x${(value >>> 0).toString(16)}`;
    if (value instanceof Uint8Array) text = Buffer.from(value).toString('hex');
    this.lines.push(`${key} = ${text}`);
  };
}
