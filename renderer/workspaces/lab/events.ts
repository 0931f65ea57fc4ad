/** Rows of the trace as the event list shows them. Text is made only for rows in view. */
import type { LabFrame } from '#contract/lab.ts';
import { formatArg } from '#engine/trace/format.ts';
import { EVENTS } from '#engine/trace/registry.ts';
import { decodeRow, type TraceRow } from '#engine/trace/row.ts';

export interface EventRow extends TraceRow {
  /** The event's number since the lab began. */
  number: number;
}

/** How many rows the frame carries. */
export function rowCount(frame: LabFrame): number {
  return frame.rowNumbers.length;
}

/** Row `index` of a frame. */
export function eventAt(frame: LabFrame, index: number): EventRow {
  return { ...decodeRow(frame.rows, index), number: frame.rowNumbers[index] };
}

/** Where an event stands in the frame, or -1. Numbers in a frame rise. */
export function indexOfEvent(frame: LabFrame, number: number): number {
  let low = 0;
  let high = frame.rowNumbers.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (frame.rowNumbers[middle] === number) return middle;
    if (frame.rowNumbers[middle] < number) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** The event's arguments as pairs of name and text, in the order of its definition. */
export function argTexts(row: TraceRow): { name: string; text: string }[] {
  const args = EVENTS[row.event]?.args ?? [];
  return args.map((arg, i) => ({ name: arg.name, text: formatArg(arg.format, row.args[i] ?? 0) }));
}
