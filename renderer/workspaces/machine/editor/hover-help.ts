/** Help under the pointer: what the property is, its type, its default, its values, and QEMU's own words. */
import type { Extension } from '@codemirror/state';
import { hoverTooltip } from '@codemirror/view';
import { hover, type Hover } from '#engine/qemu/hover.ts';
import type { CommandLine, LintContext } from '#engine/qemu/model.ts';

export interface HoverWords {
  line: () => CommandLine;
  context: () => LintContext;
  /** A key of the `machine` messages with its parameters. */
  text: (key: string, params?: Record<string, string>) => string;
}

/** Rows of the help, ready to be shown; `code` is set in the editor's font, `qemu` is QEMU's English. */
export interface HelpRow {
  kind: 'code' | 'plain' | 'qemu';
  text: string;
}

/** Values that are listed; a longer list is cut. */
const MOST_VALUES = 16;

export function helpRows(help: Hover, text: HoverWords['text']): HelpRow[] {
  const rows: HelpRow[] = [{ kind: 'code', text: help.name }];
  const facts: string[] = [];
  if (help.type !== undefined)
    facts.push(text(help.kind === 'device' ? 'machine.help.bus' : 'machine.help.type', { type: help.type }));
  if (help.defaultValue !== undefined) facts.push(text('machine.help.default', { value: help.defaultValue }));
  if (facts.length > 0) rows.push({ kind: 'plain', text: facts.join(' · ') });
  if (help.values !== undefined && help.values.length > 0) {
    const shown = help.values.slice(0, MOST_VALUES).join(' | ');
    rows.push({ kind: 'code', text: help.values.length > MOST_VALUES ? `${shown} | …` : shown });
  }
  if (help.help !== undefined) rows.push({ kind: 'qemu', text: help.help });
  return rows;
}

export function hoverHelp({ line, context, text }: HoverWords): Extension {
  return hoverTooltip(
    (_view, at) => {
      const help = hover(line(), at, context());
      if (help === undefined || at > help.span.end) return null;
      const rows = helpRows(help, text);
      // A bare name says nothing that the text does not.
      if (rows.length < 2) return null;
      return {
        pos: help.span.start,
        end: help.span.end,
        above: true,
        create: () => {
          const dom = document.createElement('div');
          dom.className = 'line-help';
          for (const row of rows) {
            const part = document.createElement('div');
            part.className = `line-help-${row.kind}`;
            part.textContent = row.text;
            if (row.kind !== 'plain') part.lang = 'en';
            dom.append(part);
          }
          return { dom };
        },
      };
    },
    { hideOnChange: true },
  );
}
