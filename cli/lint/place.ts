/** Places in a text: offsets as lines and columns, and the line with the spot marked under it. */
import type { Span } from '#engine/qemu/model.ts';

/** A line longer than this is shown around the spot only. Columns. */
const AROUND = 100;

/** Both count from 1; a column is a UTF-16 code unit, as editors count. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - start + 1 };
}

/** The line of `span.start` (a window of it when it is long) and a line of `^~~~` under the span. */
export function excerpt(text: string, span: Span): [string, string] {
  const lineStart = text.lastIndexOf('\n', span.start - 1) + 1;
  const newline = text.indexOf('\n', span.start);
  const lineEnd = newline === -1 ? text.length : newline;
  const whole = lineEnd - lineStart <= AROUND;
  const from = whole ? lineStart : Math.max(lineStart, span.start - AROUND / 2);
  const to = whole
    ? lineEnd
    : Math.min(lineEnd, Math.max(from + AROUND, Math.min(span.end, from + 2 * AROUND)));
  const left = from > lineStart ? '…' : '';
  const right = to < lineEnd ? '…' : '';
  const marked = Math.max(1, Math.min(span.end, to) - span.start);
  // Control characters would move the marks, or worse.
  const shown = text.slice(from, to).replace(/\p{Cc}/gu, ' ');
  return [left + shown + right, `${' '.repeat(left.length + span.start - from)}^${'~'.repeat(marked - 1)}`];
}
