/**
 * One event as a fixed-width row of `ROW_WORDS` unsigned 32-bit words:
 *
 *     0      event number (registry.ts)
 *     1      request id, 0 when the event belongs to no request
 *     2, 3   real nanoseconds since the laboratory started  } each the two halves of one IEEE 754 double,
 *     4, 5   model nanoseconds                              } in the order of this machine
 *     6–9    arguments a–d; a 64-bit argument takes two, low word first
 *
 * Times are doubles so that recording one is a single store. Rows never leave the machine that made them: saved traces are
 * text (save.ts).
 */
import { argWords, EVENTS, type EventDefinition } from './registry.ts';
import type { World } from './stations.ts';

export const ROW_WORDS = 10;
export const ROW_ARGS = 6;

export interface TraceRow {
  /** The event's number. */
  event: number;
  name: string;
  /** 1–14, or 0 for a number that the registry does not know. */
  station: number;
  world: World;
  requestId: number;
  /** Nanoseconds since the laboratory started, by the real clock of this program. */
  realNs: number;
  /** Nanoseconds by the model clock. */
  modelNs: number;
  /** One number for each of the event's declared arguments, 64-bit ones put together. */
  args: number[];
}

const words = new Uint32Array(2);
const double = new Float64Array(words.buffer);

function doubleAt(rows: Uint32Array, at: number): number {
  words[0] = rows[at];
  words[1] = rows[at + 1];
  return Number.isFinite(double[0]) ? double[0] : 0;
}

/** The arguments of the row at word `at`, by the event's definition. Numbers past 2^53 lose their low bits, as shown on screen. */
function decodeArgs(rows: Uint32Array, at: number, definition: EventDefinition): number[] {
  let next = at + ROW_ARGS;
  return definition.args.map(({ format }) => {
    if (argWords(format) === 2) {
      next += 2;
      return rows[next - 2] + rows[next - 1] * 0x1_0000_0000;
    }
    next += 1;
    return rows[next - 1];
  });
}

/** Row `index` of `rows` in words. Never throws: an unknown event number gives an `unknown` row. */
export function decodeRow(rows: Uint32Array, index: number): TraceRow {
  const at = index * ROW_WORDS;
  const event = rows[at] ?? 0;
  const definition = EVENTS[event];
  return {
    event,
    name: definition?.name ?? 'unknown',
    station: definition?.station ?? 0,
    world: definition?.world ?? 'guest',
    requestId: rows[at + 1] ?? 0,
    realNs: doubleAt(rows, at + 2),
    modelNs: doubleAt(rows, at + 4),
    args: definition === undefined ? [] : decodeArgs(rows, at, definition),
  };
}

/** Shifts the model times of copied rows by `byNs`, in place, so that they count from another zero. Answers the rows. */
export function moveRows(rows: Uint32Array, byNs: number): Uint32Array {
  for (let at = 0; at + ROW_WORDS <= rows.length; at += ROW_WORDS) {
    double[0] = doubleAt(rows, at + 4) + byNs;
    rows[at + 4] = words[0];
    rows[at + 5] = words[1];
  }
  return rows;
}
