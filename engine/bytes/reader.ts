/** Reading a binary structure field by field: every access is checked against the end and names its field when it fails. */
import { PlatterError } from '../errors.ts';
import { joinU64 } from './u64.ts';

export interface StructOptions {
  /** What errors call the structure, e.g. `qcow2 header`. */
  structure: string;
  /** Byte offset of the structure in its file: errors and header listings give absolute offsets. */
  base?: number;
  littleEndian?: boolean;
}

export class StructReader {
  readonly structure: string;
  readonly base: number;
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;

  constructor(bytes: Uint8Array, options: StructOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.structure = options.structure;
    this.base = options.base ?? 0;
    this.length = bytes.byteLength;
    this.#little = options.littleEndian ?? false;
  }

  u8(offset: number, field: string): number {
    this.#need(offset, 1, field);
    return this.#view.getUint8(offset);
  }

  u16(offset: number, field: string): number {
    this.#need(offset, 2, field);
    return this.#view.getUint16(offset, this.#little);
  }

  u32(offset: number, field: string): number {
    this.#need(offset, 4, field);
    return this.#view.getUint32(offset, this.#little);
  }

  /** A checked number; throws `bytes.too-large` above 2^53 - 1. */
  u64(offset: number, field: string): number {
    this.#need(offset, 8, field);
    const first = this.#view.getUint32(offset, this.#little);
    const second = this.#view.getUint32(offset + 4, this.#little);
    const high = this.#little ? second : first;
    const low = this.#little ? first : second;
    return joinU64(high, low, field, this.base + offset);
  }

  /** All 64 bits, for bit masks. */
  u64raw(offset: number, field: string): bigint {
    this.#need(offset, 8, field);
    return this.#view.getBigUint64(offset, this.#little);
  }

  /** A view (no copy) of `length` bytes. */
  bytes(offset: number, length: number, field: string): Uint8Array {
    this.#need(offset, length, field);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** UTF-8 text of `length` bytes; bytes that are no UTF-8 become U+FFFD. */
  text(offset: number, length: number, field: string): string {
    return new TextDecoder().decode(this.bytes(offset, length, field));
  }

  /** Text up to the first NUL, at most `length` bytes. */
  cString(offset: number, length: number, field: string): string {
    const bytes = this.bytes(offset, length, field);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  #need(offset: number, length: number, field: string): void {
    if (offset < 0 || offset + length > this.length) {
      const at = this.base + offset;
      throw new PlatterError(
        'bytes.truncated',
        `The ${this.structure} ends before ${field} (${length} bytes at byte ${at})`,
        {
          field,
          offset: at,
          expected: `${length} bytes`,
          value: `${Math.max(0, this.length - offset)} bytes`,
        },
      );
    }
  }
}
