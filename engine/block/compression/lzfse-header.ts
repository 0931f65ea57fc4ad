/** The header of an LZFSE block: how many literals and matches, where their bits lie, in which states they start, how often symbols are. */

export const L_SYMBOLS = 20;
export const M_SYMBOLS = 20;
export const D_SYMBOLS = 64;
export const LITERAL_SYMBOLS = 256;
/** Symbols of all four tables, in the order of the header. */
const ALL = L_SYMBOLS + M_SYMBOLS + D_SYMBOLS + LITERAL_SYMBOLS;
/** What a block holds at most. */
const MAX_MATCHES = 10_000;
const MAX_LITERALS = 4 * MAX_MATCHES;
/** Bytes of a header with plain tables, padding included. */
const V1_BYTES = 772;
const V1_TABLES_AT = 50;
/** Bytes of a header with packed tables, before these. */
const V2_BYTES = 32;

export interface LzfseHeader {
  headerBytes: number;
  /** Bytes that come out of the block. */
  rawBytes: number;
  literals: number;
  matches: number;
  literalBytes: number;
  lmdBytes: number;
  /** Bits at the end of each stream that belong to nothing. */
  literalSpare: number;
  lmdSpare: number;
  /** Four interleaved decoders. */
  literalStates: number[];
  lState: number;
  mState: number;
  dState: number;
  /** Of L, M, D and literal symbols, one after the other. */
  frequencies: Uint16Array;
}

/** The header at `at` of a block `bvx1` or `bvx2`. Throws when it is cut short or claims what cannot be. */
export function lzfseHeader(bytes: Uint8Array, at: number, packed: boolean): LzfseHeader {
  if (at + (packed ? V2_BYTES : V1_BYTES) > bytes.length) throw new Error('an LZFSE header is cut short');
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  const header = packed ? second(view, bytes.subarray(at)) : first(view);
  if (header.matches > MAX_MATCHES) throw new Error(`an LZFSE block of ${header.matches} matches`);
  if (header.literals > MAX_LITERALS) throw new Error(`an LZFSE block of ${header.literals} literals`);
  const spare = (bits: number): boolean => bits >= 0 && bits < 8;
  if (!spare(header.literalSpare) || !spare(header.lmdSpare)) throw new Error('an LZFSE bit count');
  return header;
}

function first(view: DataView): LzfseHeader {
  const u32 = (at: number): number => view.getUint32(at, true);
  const u16 = (at: number): number => view.getUint16(at, true);
  return {
    headerBytes: V1_BYTES,
    rawBytes: u32(4),
    literals: u32(12),
    matches: u32(16),
    literalBytes: u32(20),
    lmdBytes: u32(24),
    literalSpare: -view.getInt32(28, true),
    lmdSpare: -view.getInt32(40, true),
    literalStates: [u16(32), u16(34), u16(36), u16(38)],
    lState: u16(44),
    mState: u16(46),
    dState: u16(48),
    frequencies: Uint16Array.from({ length: ALL }, (_, index) => u16(V1_TABLES_AT + 2 * index)),
  };
}

function second(view: DataView, bytes: Uint8Array): LzfseHeader {
  const words = [8, 16, 24].map((at) => view.getBigUint64(at, true));
  const field = (word: number, from: number, bits: number): number =>
    Number((words[word] >> BigInt(from)) & ((1n << BigInt(bits)) - 1n));
  const headerBytes = field(2, 0, 32);
  if (headerBytes < V2_BYTES || headerBytes > bytes.length) throw new Error('an LZFSE header is cut short');
  return {
    headerBytes,
    rawBytes: view.getUint32(4, true),
    literals: field(0, 0, 20),
    literalBytes: field(0, 20, 20),
    matches: field(0, 40, 20),
    literalSpare: 7 - field(0, 60, 3),
    literalStates: [0, 10, 20, 30].map((from) => field(1, from, 10)),
    lmdBytes: field(1, 40, 20),
    lmdSpare: 7 - field(1, 60, 3),
    lState: field(2, 32, 10),
    mState: field(2, 42, 10),
    dState: field(2, 52, 10),
    frequencies: unpackFrequencies(bytes.subarray(V2_BYTES, headerBytes)),
  };
}

/**
 * Frequencies in a fixed prefix code, lowest bits first: 00 is 0, 10 is 1, 001 is 2, 101 is 3, 5 bits ending in 011 are 4 to 7, 8 bits
 * ending in 0111 are 8 to 23, 14 bits ending in 1111 are 24 and more. Tables may be left out.
 */
function unpackFrequencies(packed: Uint8Array): Uint16Array {
  const out = new Uint16Array(ALL);
  if (packed.length === 0) return out;
  let at = 0;
  let word = 0;
  let have = 0;
  for (let index = 0; index < ALL; index++) {
    for (; have <= 24 && at < packed.length; have += 8) word |= packed[at++] << have;
    const { value, bits } = frequency(word);
    if (bits > have) throw new Error('an LZFSE table is cut short');
    out[index] = value;
    word >>>= bits;
    have -= bits;
  }
  if (at !== packed.length || have >= 8) throw new Error('an LZFSE table is too long');
  return out;
}

function frequency(word: number): { value: number; bits: number } {
  if ((word & 1) === 0) return { value: (word >> 1) & 1, bits: 2 };
  if ((word & 3) === 1) return { value: 2 + ((word >> 2) & 1), bits: 3 };
  if ((word & 7) === 3) return { value: 4 + ((word >> 3) & 3), bits: 5 };
  if ((word & 15) === 7) return { value: 8 + ((word >> 4) & 15), bits: 8 };
  return { value: 24 + ((word >> 4) & 0x3ff), bits: 14 };
}
