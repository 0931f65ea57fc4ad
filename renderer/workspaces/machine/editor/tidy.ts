/** Formatting: every option on a line of its own, continued by a backslash as the shell wants it. */
import type { CommandLine, TextEdit } from '#engine/qemu/model.ts';

const BETWEEN = ' \\\n  ';
const BLANK = /^(?:\s|\\\r?\n)*$/;

/**
 * The edits that put each option on a line of its own. Only blanks and continuations change: where a comment or a word
 * stands between two options, that place stays as it is.
 */
export function tidyEdits(line: CommandLine): TextEdit[] {
  const edits: TextEdit[] = [];
  const pieces = [...line.words, ...line.options, ...line.images].map((piece) => piece.span);
  pieces.sort((a, b) => a.start - b.start);
  const starts = new Set(line.options.map((option) => option.span.start));
  const replace = (start: number, end: number, text: string): void => {
    const old = line.text.slice(start, end);
    if (BLANK.test(old) && old !== text) edits.push({ span: { start, end }, text });
  };
  let at = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece.start < at) continue;
    if (index === 0) replace(0, piece.start, '');
    else if (starts.has(piece.start)) replace(at, piece.start, BETWEEN);
    at = piece.end;
  }
  if (pieces.length > 0) replace(at, line.text.length, '');
  return edits;
}
