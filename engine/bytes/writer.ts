/** Writing a binary structure field by field, with the same checks as reading it. */
import { PlatterError } from '../errors.ts';
import type { StructOptions } from './reader.ts';
import { highHalf, lowHalf } from './u64.ts';

export class StructWriter {
  readonly bytes: Uint8Array;
  readonly #structure: string;
  readonly #view: DataView;
  readonly #little: boolean;

  /** Over `length` zero bytes, or over bytes that exist. */
  constructor(target: number | Uint8Array, options: StructOptions) {
    this.bytes = typeof target === 'number' ? new Uint8Array(target) : target;
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.#structure = options.structure;
    this.#little = options.littleEndian ?? false;
  }

  u8(offset: number, value: number, field: string): void {
    this.#fits(value, 0xff, field);
    this.#view.setUint8(offset, value);
  }

  u16(offset: number, value: number, field: string): void {
    this.#fits(value, 0xffff, field);
    this.#view.setUint16(offset, value, this.#little);
  }

  u32(offset: number, value: number, field: string): void {
    this.#fits(value, 0xffff_ffff, field);
    this.#view.setUint32(offset, value, this.#little);
  }

  u64(offset: number, value: number, field: string): void {
    this.#fits(value, Number.MAX_SAFE_INTEGER, field);
    this.#view.setUint32(offset + (this.#little ? 4 : 0), highHalf(value), this.#little);
    this.#view.setUint32(offset + (this.#little ? 0 : 4), lowHalf(value), this.#little);
  }

  u64raw(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, this.#little);
  }

  put(offset: number, source: Uint8Array): void {
    this.bytes.set(source, offset);
  }

  #fits(value: number, max: number, field: string): void {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new PlatterError(
        'bytes.does-not-fit',
        `${value} does not fit into ${field} of the ${this.#structure}`,
        { field, value: String(value), expected: `0 to ${max}` },
      );
    }
  }
}
