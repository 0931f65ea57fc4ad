/**
 * LZFSE, what Apple's disk images have since 2015: blocks that are plain (`bvx-`), LZVN (`bvxn`), or triples of literal length, match
 * length and distance in finite state entropy coding (`bvx1`, `bvx2`), up to the mark `bvx$`. Apple published the format as a program.
 */
import { BackwardBits, FseTable, type Symbols } from './fse.ts';
import { LzOutput } from './lz-output.ts';
import { D_SYMBOLS, L_SYMBOLS, lzfseHeader, M_SYMBOLS, type LzfseHeader } from './lzfse-header.ts';
import { unpackLzvn } from './lzvn.ts';

const L_STATES = 64;
const M_STATES = 64;
const D_STATES = 256;
const LITERAL_STATES = 1024;

/** Lengths 0 to 15 are symbols of their own, longer ones share four. */
const lengths = (...extra: number[]): Symbols => ranges([...Array.from({ length: 16 }, () => 0), ...extra]);
const L_SYMBOL = lengths(2, 3, 5, 8);
const M_SYMBOL = lengths(3, 5, 8, 11);
/** Four symbols for each number of further bits. */
const D_SYMBOL = ranges(Array.from({ length: D_SYMBOLS }, (_, symbol) => symbol >> 2));

/** Symbols whose ranges follow each other from 0 on. */
function ranges(extra: number[]): Symbols {
  let next = 0;
  const base = extra.map((bits) => {
    const start = next;
    next += 1 << bits;
    return start;
  });
  return { base, extra };
}

/** Exactly `size` bytes; what follows the end mark is ignored. Throws when the stream is damaged or gives more or fewer. */
export function unpackLzfse(packed: Uint8Array, size: number): Uint8Array {
  const out = new LzOutput(size);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const word = (at: number): number => {
    if (at + 4 > packed.length) throw new Error('an LZFSE stream is cut short');
    return view.getUint32(at, true);
  };
  for (let at = 0; ;) {
    const magic = String.fromCharCode(...packed.subarray(at, at + 4));
    if (magic === 'bvx$') return out.finish();
    const before = out.length;
    const promised = word(at + 4);
    if (magic === 'bvx-') {
      out.literals(packed, at + 8, promised);
      at += 8 + promised;
    } else if (magic === 'bvxn') {
      const length = word(at + 8);
      unpackLzvn(part(packed, at + 12, length), out);
      at += 12 + length;
    } else if (magic === 'bvx1' || magic === 'bvx2') {
      const header = lzfseHeader(packed, at, magic === 'bvx2');
      at += header.headerBytes;
      const literals = unpackLiterals(header, part(packed, at, header.literalBytes));
      at += header.literalBytes;
      unpackMatches(header, part(packed, at, header.lmdBytes), literals, out);
      at += header.lmdBytes;
    } else {
      throw new Error(
        magic.length < 4 ? 'an LZFSE stream is cut short' : 'no LZFSE block where one should be',
      );
    }
    if (out.length - before !== promised) {
      throw new Error(`an LZFSE block of ${out.length - before} bytes instead of ${promised}`);
    }
  }
}

function part(packed: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > packed.length) throw new Error('an LZFSE block is cut short');
  return packed.subarray(at, at + length);
}

/** Four decoders take turns. */
function unpackLiterals(header: LzfseHeader, packed: Uint8Array): Uint8Array {
  const from = L_SYMBOLS + M_SYMBOLS + D_SYMBOLS;
  const table = new FseTable(LITERAL_STATES, header.frequencies.subarray(from));
  const bits = new BackwardBits(packed, header.literalSpare);
  const states = header.literalStates.map((state) => table.start(state));
  const literals = new Uint8Array(header.literals);
  for (let i = 0; i < literals.length; i++) {
    const state = states[i & 3];
    literals[i] = table.symbol(state);
    states[i & 3] = table.next(state, bits);
  }
  return literals;
}

function unpackMatches(header: LzfseHeader, packed: Uint8Array, literals: Uint8Array, out: LzOutput): void {
  const { frequencies } = header;
  const l = new FseTable(L_STATES, frequencies.subarray(0, L_SYMBOLS), L_SYMBOL);
  const m = new FseTable(M_STATES, frequencies.subarray(L_SYMBOLS, L_SYMBOLS + M_SYMBOLS), M_SYMBOL);
  const from = L_SYMBOLS + M_SYMBOLS;
  const d = new FseTable(D_STATES, frequencies.subarray(from, from + D_SYMBOLS), D_SYMBOL);
  const bits = new BackwardBits(packed, header.lmdSpare);
  let [lState, mState, dState] = [l.start(header.lState), m.start(header.mState), d.start(header.dState)];
  let used = 0;
  let distance = 0;
  for (let i = 0; i < header.matches; i++) {
    const [lSymbol, mSymbol, dSymbol] = [l.symbol(lState), m.symbol(mState), d.symbol(dState)];
    lState = l.next(lState, bits);
    const count = l.value(lSymbol, bits);
    mState = m.next(mState, bits);
    const length = m.value(mSymbol, bits);
    dState = d.next(dState, bits);
    // 0 stands for the distance of the match before.
    const back = d.value(dSymbol, bits);
    if (back !== 0) distance = back;
    out.literals(literals, used, count);
    used += count;
    out.match(distance, length);
  }
}
