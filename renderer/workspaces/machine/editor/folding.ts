/** Folding: a long option shows its first parameter only. */
import { codeFolding, foldGutter, foldKeymap, foldService } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { keymap } from '@codemirror/view';
import type { CommandLine, Span } from '#engine/qemu/model.ts';

/** Options shorter than this stay as they are. Characters. */
const LONG = 48;

/** What can be folded of the text line from `start` to `end`: the longest option that begins there, behind its first parameter. */
export function foldable(line: CommandLine, start: number, end: number): Span | null {
  let best: Span | null = null;
  for (const option of line.options) {
    if (option.span.start < start || option.span.start > end) continue;
    const from = option.params.at(0)?.span.end ?? option.nameSpan.end;
    const to = option.span.end;
    if (option.span.end - option.span.start < LONG || to - from < 8) continue;
    if (best === null || to - from > best.end - best.start) best = { start: from, end: to };
  }
  return best;
}

export function lineFolding(line: () => CommandLine, label: (key: string) => string): Extension {
  return [
    foldService.of((_state, start, end) => {
      const found = foldable(line(), start, end);
      return found === null ? null : { from: found.start, to: found.end };
    }),
    codeFolding({ placeholderText: '…' }),
    foldGutter({
      markerDOM: (open) => {
        const mark = document.createElement('span');
        mark.className = 'line-fold';
        mark.textContent = open ? '⌄' : '›';
        mark.title = label(open ? 'machine.fold' : 'machine.unfold');
        return mark;
      },
    }),
    keymap.of(foldKeymap),
  ];
}
