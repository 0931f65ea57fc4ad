/**
 * A binary structure described once: the order, width and meaning of its fields. The description parses it, writes it, and lists its
 * fields for the screen, so that the three can never disagree.
 */
import type { HeaderField } from '#contract/images.ts';
import { PlatterError } from '../../../errors.ts';

/** How one field is stored. `show` is what a person reads. */
export interface FieldCodec<T> {
  /** Bytes. */
  readonly size: number;
  read(view: DataView, offset: number, little: boolean): T;
  write(view: DataView, offset: number, value: T, little: boolean): void;
  show(value: T): string;
}

/** The values of a structure, by field name. */
export type Values<F> = { [K in keyof F]: F[K] extends FieldCodec<infer T> ? T : never };

export interface Layout<F> {
  /** The description itself; its type gives `Values`. */
  readonly fields: F;
  /** Bytes from the first field to the end of the last. */
  readonly size: number;
  /** Byte offset of a field from the start of the structure. */
  offsetOf(field: keyof F): number;
  /** The same for a name that may be none of its fields. */
  find(field: string): number | undefined;
  /**
   * Reads the structure at `at` bytes into `bytes`. Throws `bytes.truncated` when it does not fit, and `bytes.too-large` when a
   * 64-bit size or offset passes 2^53.
   */
  parse(bytes: Uint8Array, image: string, at?: number): Values<F>;
  /** The structure as bytes, exactly `size` long. */
  encode(values: Values<F>): Uint8Array;
  /** Every field in file order, for the overview. `base`: where the structure lies in the file, bytes. */
  describe(values: Values<F>, base: number, prefix?: string): HeaderField[];
}

/** Describes a structure whose fields follow each other without padding. */
export function layout<F extends Record<string, FieldCodec<unknown>>>(
  endian: 'little' | 'big',
  fields: F,
): Layout<F> {
  const little = endian === 'little';
  const offsets = new Map<string, number>();
  let size = 0;
  for (const [name, codec] of Object.entries(fields)) {
    offsets.set(name, size);
    size += codec.size;
  }
  const entries = Object.entries<FieldCodec<unknown>>(fields);
  return {
    fields,
    size,
    find: (field) => offsets.get(field),
    offsetOf: (field) => offsets.get(field as string) as number,
    parse(bytes, image, at = 0) {
      if (at + size > bytes.length) {
        throw new PlatterError(
          'bytes.truncated',
          `${image}: the structure at ${at} needs ${size} bytes, and only ${Math.max(0, bytes.length - at)} are there. The file is cut short.`,
          { image, offset: at, expected: String(size) },
        );
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const values: Record<string, unknown> = {};
      for (const [name, codec] of entries) {
        const offset = at + (offsets.get(name) as number);
        const value = codec.read(view, offset, little);
        if (typeof value === 'number' && !Number.isSafeInteger(value)) {
          throw new PlatterError(
            'bytes.too-large',
            `${image}: field ${name} at offset ${offset} holds a number past 2^53. The header is damaged or hostile.`,
            { image, field: name, offset, value: String(value) },
          );
        }
        values[name] = value;
      }
      return values as Values<F>;
    },
    encode(values) {
      const bytes = new Uint8Array(size);
      const view = new DataView(bytes.buffer);
      for (const [name, codec] of entries) {
        codec.write(view, offsets.get(name) as number, (values as Record<string, unknown>)[name], little);
      }
      return bytes;
    },
    describe: (values, base, prefix = '') =>
      entries.map(([name, codec]) => ({
        name: prefix + name,
        offset: base + (offsets.get(name) as number),
        length: codec.size,
        value: codec.show((values as Record<string, unknown>)[name]),
      })),
  };
}

export const u8: FieldCodec<number> = {
  size: 1,
  read: (view, offset) => view.getUint8(offset),
  write: (view, offset, value) => view.setUint8(offset, value),
  show: String,
};
export const u16: FieldCodec<number> = {
  size: 2,
  read: (view, offset, little) => view.getUint16(offset, little),
  write: (view, offset, value, little) => view.setUint16(offset, value, little),
  show: String,
};
export const u32: FieldCodec<number> = {
  size: 4,
  read: (view, offset, little) => view.getUint32(offset, little),
  write: (view, offset, value, little) => view.setUint32(offset, value, little),
  show: String,
};
/** A 32-bit number that people read in hexadecimal: a magic, a checksum, flags. */
export const x32: FieldCodec<number> = {
  ...u32,
  show: (value) => `0x${value.toString(16).padStart(8, '0')}`,
};
/** A 64-bit size or offset; more than 2^53 is refused when it is parsed. */
export const u64: FieldCodec<number> = {
  size: 8,
  read: (view, offset, little) => Number(view.getBigUint64(offset, little)),
  write: (view, offset, value, little) => view.setBigUint64(offset, BigInt(value), little),
  show: String,
};
/** 64 bits that are no number: flags, magics, "none" written as all ones. */
export const x64: FieldCodec<bigint> = {
  size: 8,
  read: (view, offset, little) => view.getBigUint64(offset, little),
  write: (view, offset, value, little) => view.setBigUint64(offset, value, little),
  show: (value) => `0x${value.toString(16).padStart(16, '0')}`,
};

/** Latin-1 text of fixed length, cut at its first NUL. */
export function text(size: number): FieldCodec<string> {
  return {
    size,
    read: (view, offset) => latin1(new Uint8Array(view.buffer, view.byteOffset + offset, size)),
    write: (view, offset, value) => {
      for (let i = 0; i < size; i++) {
        view.setUint8(offset + i, i < value.length ? value.charCodeAt(i) & 0xff : 0);
      }
    },
    show: (value) => value.trimEnd(),
  };
}

/** Bytes kept as they are; shown when there is anything but zeroes. */
export function raw(size: number): FieldCodec<Uint8Array> {
  return {
    size,
    read: (view, offset) => new Uint8Array(view.buffer, view.byteOffset + offset, size).slice(),
    write: (view, offset, value) =>
      new Uint8Array(view.buffer, view.byteOffset + offset, size).set(value.subarray(0, size)),
    show: (value) =>
      value.every((byte) => byte === 0)
        ? '0'
        : `${hex(value.subarray(0, 32))}${value.length > 32 ? '…' : ''}`,
  };
}

/** A GUID as Microsoft stores it: the first three groups little-endian. Read and written as lower-case text. */
export const guid: FieldCodec<string> = {
  size: 16,
  read: (view, offset) => formatGuid(new Uint8Array(view.buffer, view.byteOffset + offset, 16)),
  write: (view, offset, value) =>
    new Uint8Array(view.buffer, view.byteOffset + offset, 16).set(parseGuid(value)),
  show: (value) => value,
};
/** A UUID stored in the order in which it is written (RFC 4122). */
export const uuid: FieldCodec<string> = {
  size: 16,
  read: (view, offset) => dashed(hex(new Uint8Array(view.buffer, view.byteOffset + offset, 16))),
  write: (view, offset, value) =>
    new Uint8Array(view.buffer, view.byteOffset + offset, 16).set(unhex(value.replaceAll('-', ''))),
  show: (value) => value,
};

export const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** Text up to the first NUL, one byte a character. */
export function latin1(bytes: Uint8Array): string {
  let result = '';
  for (const byte of bytes) {
    if (byte === 0) {
      break;
    }
    result += String.fromCharCode(byte);
  }
  return result;
}

export function hex(bytes: Uint8Array): string {
  let result = '';
  for (const byte of bytes) {
    result += byte.toString(16).padStart(2, '0');
  }
  return result;
}

function unhex(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    parseInt(digits.slice(i * 2, i * 2 + 2), 16),
  );
}

function dashed(digits: string): string {
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

/** The mixed-endian order of Microsoft's GUIDs: bytes of the first three groups are swapped. */
const GUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

function formatGuid(bytes: Uint8Array): string {
  return dashed(hex(Uint8Array.from(GUID_ORDER, (from) => bytes[from])));
}

function parseGuid(value: string): Uint8Array {
  const plain = unhex(value.replaceAll('-', ''));
  return Uint8Array.from(GUID_ORDER, (from) => plain[from]);
}
