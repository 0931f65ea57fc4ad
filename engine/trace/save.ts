/**
 * A trace as text: JSON lines, one header and one line for every event, with names instead of numbers, so that a saved trace
 * outlives changes of the registry and other programs can read it. Loading trusts nothing: lines are bounded, every value is
 * checked, and the first line that is wrong is named.
 */
import { PlatterError } from '../errors.ts';
import { argWords, eventByName, type EventDefinition } from './registry.ts';
import { highWord, TraceRing } from './ring.ts';
import { decodeRow, ROW_ARGS, ROW_WORDS } from './row.ts';

const VERSION = 1;
const LONGEST_LINE = 4096;
const MOST_EVENTS = 1 << 22;

/** The lines of the trace without line ends, oldest event first. */
export function* saveTrace(trace: TraceRing): Generator<string> {
  yield JSON.stringify({ 'platter-trace': VERSION, events: trace.total - trace.first, first: trace.first });
  for (let n = trace.first; n < trace.total; n++) {
    const row = decodeRow(trace.copy([n]), 0);
    const definition = eventByName(row.name);
    if (definition === undefined) continue;
    const args = Object.fromEntries(definition.args.map(({ name }, i) => [name, row.args[i]]));
    yield JSON.stringify({
      n,
      event: row.name,
      request: row.requestId,
      real_ns: row.realNs,
      model_ns: row.modelNs,
      args,
    });
  }
}

function invalid(line: number, field: string, expected: string): PlatterError {
  return new PlatterError('trace.invalid', `line ${line} of the saved trace: ${field} must be ${expected}`, {
    offset: line,
    field,
    expected,
  });
}

function parseLine(text: string, line: number): Record<string, unknown> {
  if (text.length > LONGEST_LINE) throw invalid(line, 'the line', `at most ${LONGEST_LINE} characters long`);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Named below like any other line that is no object.
  }
  throw invalid(line, 'the line', 'a JSON object');
}

function numberIn(value: unknown, most: number, line: number, field: string): number {
  if (typeof value !== 'number' || !(value >= 0) || value > most) {
    throw invalid(line, field, `a number from 0 to ${most}`);
  }
  return value;
}

function argumentWords(value: unknown, definition: EventDefinition, line: number): number[] {
  const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return definition.args.flatMap(({ name, format }) => {
    const wide = argWords(format) === 2;
    const number = numberIn(given[name], wide ? 2 ** 64 : 0xffff_ffff, line, `args.${name}`);
    return wide ? [number >>> 0, highWord(number)] : [number];
  });
}

/**
 * A ring that holds the saved events, numbered from 0.
 * Throws `trace.invalid` naming the line, `trace.not-a-trace`, `trace.too-long`.
 */
export function loadTrace(lines: Iterable<string>): TraceRing {
  // One array that grows: a row of its own for each event would take many times the memory.
  let rows = new Uint32Array(ROW_WORDS * 1024);
  let count = 0;
  const row = new Uint32Array(ROW_WORDS);
  const times = new Float64Array(row.buffer);
  let line = 0;
  let headed = false;
  for (const text of lines) {
    line++;
    if (text.trim() === '') continue;
    const value = parseLine(text, line);
    if (!headed) {
      headed = true;
      if (value['platter-trace'] !== VERSION) {
        throw new PlatterError(
          'trace.not-a-trace',
          `the first line does not say "platter-trace": ${VERSION}`,
          {
            field: 'platter-trace',
            expected: String(VERSION),
          },
        );
      }
      continue;
    }
    const definition = typeof value.event === 'string' ? eventByName(value.event) : undefined;
    if (definition === undefined) throw invalid(line, 'event', 'the name of an event');
    if (count === MOST_EVENTS) {
      throw new PlatterError('trace.too-long', `a saved trace may hold at most ${MOST_EVENTS} events`, {
        expected: String(MOST_EVENTS),
      });
    }
    row.fill(0);
    row[0] = definition.id;
    row[1] = numberIn(value.request, 0xffff_ffff, line, 'request');
    times[1] = numberIn(value.real_ns, Number.MAX_SAFE_INTEGER, line, 'real_ns');
    times[2] = numberIn(value.model_ns, Number.MAX_SAFE_INTEGER, line, 'model_ns');
    row.set(argumentWords(value.args, definition, line), ROW_ARGS);
    if ((count + 1) * ROW_WORDS > rows.length) {
      const grown = new Uint32Array(rows.length * 2);
      grown.set(rows);
      rows = grown;
    }
    rows.set(row, count++ * ROW_WORDS);
  }
  if (!headed) {
    throw new PlatterError('trace.not-a-trace', 'the file is empty', { field: 'platter-trace' });
  }
  const trace = new TraceRing({ capacity: count });
  for (let n = 0; n < count; n++) trace.append(rows.subarray(n * ROW_WORDS, (n + 1) * ROW_WORDS));
  return trace;
}
