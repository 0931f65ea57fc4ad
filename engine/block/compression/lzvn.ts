/**
 * LZVN, what LZFSE uses for small blocks. An opcode is one byte, of which the upper bits tell the kind, then what it lacks of lengths and
 * distance, then its literals:
 *
 *     LLMMMDDD D         near: M from 3, distance of 11 bits
 *     LLMMM111 DD        far: distance of 16 bits
 *     LLMMM110           the distance of the match before
 *     101LLMMM DDMM      middle: M of 5 bits from 3, distance of 14 bits (16 bits little-endian: distance above M's low two)
 *     1110LLLL           literals alone; 0 means a byte more, from 16
 *     1111MMMM           a match alone, at the distance of the one before; 0 means a byte more, from 16
 *
 * Of LLMMM110 without literals, 0x06 ends the block (eight bytes long), 0x0e and 0x16 do nothing, and the others are not defined, as are
 * 0111xxxx and 1101xxxx.
 */
import type { LzOutput } from './lz-output.ts';

const END = 0x06;
const END_BYTES = 8;

interface Opcode {
  /** Bytes before the literals. */
  bytes: number;
  literals: number;
  match: number;
  /** 0: the one of the match before. */
  distance: number;
}

/** One block: all of `packed`, ended by its own mark. Throws when it is damaged. */
export function unpackLzvn(packed: Uint8Array, out: LzOutput): void {
  let distance = 0;
  for (let at = 0; at < packed.length;) {
    const code = packed[at];
    if (code === END) {
      if (at + END_BYTES > packed.length) break;
      return;
    }
    if (code === 0x0e || code === 0x16) {
      at++;
      continue;
    }
    const one = decode(code, packed, at);
    if (at + one.bytes > packed.length) break;
    out.literals(packed, at + one.bytes, one.literals);
    if (one.distance !== 0) distance = one.distance;
    out.match(distance, one.match);
    at += one.bytes + one.literals;
  }
  throw new Error('an LZVN block is cut short');
}

function decode(code: number, packed: Uint8Array, at: number): Opcode {
  const next = packed[at + 1] ?? 0;
  const word = next | ((packed[at + 2] ?? 0) << 8);
  const kind = code >> 4;
  if (kind === 0xe) return alone(code, next, true);
  if (kind === 0xf) return alone(code, next, false);
  if (kind === 0xa || kind === 0xb) {
    const match = (((code & 7) << 2) | (word & 3)) + 3;
    return { bytes: 3, literals: (code >> 3) & 3, match, distance: known(word >> 2) };
  }
  const literals = code >> 6;
  const low = code & 7;
  if (kind === 7 || kind === 0xd || (low === 6 && literals === 0)) {
    throw new Error(`an LZVN opcode 0x${code.toString(16)}`);
  }
  const match = ((code >> 3) & 7) + 3;
  if (low === 6) return { bytes: 1, literals, match, distance: 0 };
  if (low === 7) return { bytes: 3, literals, match, distance: known(word) };
  return { bytes: 2, literals, match, distance: known((low << 8) | next) };
}

function alone(code: number, next: number, literal: boolean): Opcode {
  const long = (code & 15) === 0;
  const count = long ? next + 16 : code & 15;
  return { bytes: long ? 2 : 1, literals: literal ? count : 0, match: literal ? 0 : count, distance: 0 };
}

/** A distance that is written down is never 0. */
function known(distance: number): number {
  if (distance === 0) throw new Error('an LZVN match 0 bytes back');
  return distance;
}
