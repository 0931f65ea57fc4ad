/** Colours for the command line, from the same parser that everything else uses. */
import { RangeSetBuilder, StateField, type EditorState, type Extension } from '@codemirror/state';
import { Decoration, EditorView, type DecorationSet } from '@codemirror/view';
import type { CommandLine, Span } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';

type Token = 'option' | 'key' | 'value' | 'driver' | 'id' | 'number' | 'word' | 'comment' | 'variable';

export interface ColouredSpan {
  span: Span;
  token: Token;
}

/** Keys whose value names another object of the line, and those that give it its name. */
const IDENTIFIERS = new Set([
  'id',
  'node-name',
  'drive',
  'bus',
  'iothread',
  'backing',
  'throttle-group',
  'chardev',
]);
/** Keys whose value is the kind of a thing. */
const DRIVERS = new Set(['driver', 'format', 'if', 'type', 'qom-type']);
const NUMBER = /^(?:0x[0-9a-f]+|\d+(?:\.\d+)?[kmgtpe]?)$/i;

/** The stretches of the text that have a colour, in order and without overlap. */
export function colouredSpans(line: CommandLine): ColouredSpan[] {
  const spans: ColouredSpan[] = [];
  const add = (span: Span, token: Token) => {
    if (span.end > span.start) spans.push({ span, token });
  };
  for (const word of line.words) add(word.span, 'word');
  for (const comment of line.comments) add(comment, 'comment');
  for (const option of line.options) {
    add(option.nameSpan, 'option');
    for (const param of option.params) {
      add(param.keySpan, 'key');
      const last = param.key.split('.').at(-1) ?? param.key;
      if (param.variable === true) add(param.valueSpan, 'variable');
      else if (IDENTIFIERS.has(last)) add(param.valueSpan, 'id');
      else if (DRIVERS.has(last)) add(param.valueSpan, 'driver');
      else if (NUMBER.test(param.value)) add(param.valueSpan, 'number');
      else add(param.valueSpan, 'value');
    }
    if (option.params.length === 0 && option.argumentSpan) add(option.argumentSpan, 'value');
  }
  spans.sort((a, b) => a.span.start - b.span.start || b.span.end - a.span.end);
  let end = 0;
  const apart = spans.filter(({ span }) => {
    if (span.start < end) return false;
    end = span.end;
    return true;
  });
  return withVariables(apart, line.variables);
}

/** What the shell replaces stands out in whatever it stands. Both lists are in the order of the text. */
function withVariables(spans: readonly ColouredSpan[], variables: readonly Span[]): ColouredSpan[] {
  const parts: ColouredSpan[] = [];
  let next = 0;
  for (const { span, token } of spans) {
    while (next < variables.length && variables[next].start < span.start) next++;
    let at = span.start;
    for (; next < variables.length && variables[next].end <= span.end; next++) {
      if (token === 'variable' || token === 'comment') continue;
      if (variables[next].start > at) parts.push({ span: { start: at, end: variables[next].start }, token });
      parts.push({ span: variables[next], token: 'variable' });
      at = variables[next].end;
    }
    if (span.end > at) parts.push({ span: { start: at, end: span.end }, token });
  }
  return parts;
}

const marks = new Map<Token, Decoration>();
function mark(token: Token): Decoration {
  let made = marks.get(token);
  if (!made) marks.set(token, (made = Decoration.mark({ class: `line-${token}` })));
  return made;
}

function decorate(state: EditorState): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const { span, token } of colouredSpans(parseCommandLine(state.doc.toString())))
    builder.add(span.start, span.end, mark(token));
  return builder.finish();
}

/** The extension for the editor. */
export const highlightLine: Extension = StateField.define<DecorationSet>({
  create: decorate,
  update: (value, transaction) => (transaction.docChanged ? decorate(transaction.state) : value),
  provide: (field) => EditorView.decorations.from(field),
});
