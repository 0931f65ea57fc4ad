/**
 * Edits of a command line's text. Every change is a replacement of a span, so that layout, comments and all that was not
 * touched stay as they were; values are quoted as the place where they go demands.
 */
import type { CommandLine, Option, Param, Span, TextEdit } from './model.ts';

/**
 * The text with the edits made. Spans are of `text`; an edit that overlaps an earlier one (by start) is left out unless both
 * delete, equal ones
 * are made once, insertions at one place keep their order.
 */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  const sorted = edits
    .map((edit, order) => ({ edit, order }))
    .sort(
      (a, b) =>
        a.edit.span.start - b.edit.span.start || a.edit.span.end - b.edit.span.end || a.order - b.order,
    );
  const parts: string[] = [];
  let at = 0;
  let last: TextEdit | undefined;
  for (const { edit } of sorted) {
    const { start, end } = edit.span;
    if (end > text.length || end < start) continue;
    if (start < at) {
      // Of two deletions side by side both may take the blank between them.
      if (edit.text === '' && last?.text === '') at = Math.max(at, end);
      continue;
    }
    if (last !== undefined && last.span.start === start && last.span.end === end && last.text === edit.text)
      continue;
    parts.push(text.slice(at, start), edit.text);
    at = end;
    last = edit;
  }
  parts.push(text.slice(at));
  return parts.join('');
}

/** What stands in another file cannot be changed from here. */
export const NO_EDIT: TextEdit = { span: { start: 0, end: 0 }, text: '' };

/** Whether two fixes can be applied in one go. */
export function editsOverlap(a: readonly TextEdit[], b: readonly TextEdit[]): boolean {
  return a.some((x) => b.some((y) => x.span.start < y.span.end && y.span.start < x.span.end));
}

/** `,` doubled, as a value of a `key=value` list wants it. */
export function escapeValue(value: string): string {
  return value.replaceAll(',', ',,');
}

/** `value` as a shell word, quoted only when it must be. */
export function shellQuote(value: string): string {
  if (value !== '' && /^[A-Za-z0-9_@%+=:,./~^-]+$/.test(value) && !value.startsWith('~')) return value;
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** The parameters that stand in the option itself. */
export function ownParams(option: Option): Param[] {
  return option.params.filter((p) => p.from === undefined);
}

/** What the option is in the end: its own parameters and those that a `-set` gives it, of one given twice the last. */
export function setParams(option: Option): Param[] {
  const params = option.params.filter((p) => p.from?.name !== 'global');
  return params.filter((p, i) =>
    p.from === undefined
      ? !params.some((q) => q.from !== undefined && q.key === p.key)
      : params.findLastIndex((q) => q.key === p.key) === i,
  );
}

/** The `-set` options that are about these, to be taken out when the options are written anew. */
export function removeSets(line: CommandLine, options: readonly Option[]): TextEdit[] {
  const sets = new Set(
    options.flatMap((o) => o.params.flatMap((p) => (p.from?.name === 'set' ? p.from : []))),
  );
  return [...sets].map((option) => removeOption(line, option));
}

/** How the text around an offset of the option's argument is quoted: 0 not, 1 single, 2 double. */
function quotingAt(option: Option, offset: number): number {
  const word = option.word;
  if (word?.starts === undefined || word.quoting === undefined) return 0;
  for (let i = 0; i < word.quoting.length; i++) {
    if (word.starts[i] >= offset)
      return word.starts[i] === offset ? word.quoting[i] : (word.quoting[i - 1] ?? 0);
  }
  return word.quoting[word.quoting.length - 1] ?? 0;
}

/** `text` as it must be written inside the option's argument at `offset`. */
function quoteFor(option: Option, offset: number, text: string): string {
  switch (quotingAt(option, offset)) {
    case 1:
      return text.replaceAll("'", `'\\''`);
    case 2:
      return text.replace(/["$`\\]/g, '\\$&');
    default:
      return /^[A-Za-z0-9_@%+=:,./^-]*$/.test(text) ? text : text.replace(/[^A-Za-z0-9_@%+=:,./^-]/g, '\\$&');
  }
}

function jsonValue(value: string, type: Param['json']): string {
  if (type === 'number') return value;
  if (type === 'boolean') return value === 'on' || value === 'true' ? 'true' : 'false';
  return JSON.stringify(value);
}

/** Replaces a parameter's value, where it stands; a short-form boolean becomes a pair. */
export function setValue(option: Option, param: Param, value: string): TextEdit {
  if (option.config !== undefined || param.from?.config !== undefined) return NO_EDIT;
  if (param.from !== undefined) return setElsewhere(param.from, param, value);
  if (option.json === true) {
    return {
      span: param.valueSpan,
      text: quoteFor(option, param.valueSpan.start, jsonValue(value, param.json)),
    };
  }
  if (param.form === 'short-on' || param.form === 'short-off') {
    return {
      span: param.span,
      text: quoteFor(option, param.span.start, `${param.key}=${escapeValue(value)}`),
    };
  }
  return { span: param.valueSpan, text: quoteFor(option, param.valueSpan.start, escapeValue(value)) };
}

/** The value of a `-set` or `-global`; it runs to the end of the argument, and no comma ends it. */
function setElsewhere(option: Option, param: Param, value: string): TextEdit {
  const { start } = param.valueSpan;
  const list = option.params.some((p) => p.key === 'value');
  return { span: param.valueSpan, text: quoteFor(option, start, list ? escapeValue(value) : value) };
}

/** Replaces a parameter's name. */
export function setKey(option: Option, param: Param, key: string): TextEdit {
  if (option.config !== undefined || param.from?.config !== undefined) return NO_EDIT;
  if (param.from !== undefined) return { span: param.keySpan, text: key };
  if (option.json === true) {
    return { span: param.keySpan, text: quoteFor(option, param.keySpan.start, key.split('.').at(-1) ?? key) };
  }
  return { span: param.keySpan, text: key };
}

/** Takes a parameter out, with one comma; one that another option says goes with that option. */
export function removeParam(line: CommandLine, option: Option, param: Param): TextEdit {
  if (param.from !== undefined) return removeOption(line, param.from);
  if (option.config !== undefined) return NO_EDIT;
  if (option.json === true) return removeMember(line.text, param.span);
  const own = ownParams(option);
  const index = own.indexOf(param);
  const before: Param | undefined = own[index - 1];
  const after: Param | undefined = own[index + 1];
  if (before !== undefined) {
    return { span: { start: before.span.end, end: param.span.end }, text: '' };
  }
  return { span: { start: param.span.start, end: after?.span.start ?? param.span.end }, text: '' };
}

/** A JSON member and the comma on one side of it. */
function removeMember(text: string, span: Span): TextEdit {
  let { start, end } = span;
  let k = end;
  while (/\s/.test(text[k] ?? '')) k++;
  if (text[k] === ',') {
    k++;
    while (/\s/.test(text[k] ?? '')) k++;
    end = k;
  } else {
    k = start - 1;
    while (k >= 0 && /\s/.test(text[k])) k--;
    if (text[k] === ',') start = k;
  }
  return { span: { start, end }, text: '' };
}

/** Adds a parameter at the end of the option's list. `type` matters for JSON only. */
export function addParam(
  option: Option,
  key: string,
  value: string,
  type: Param['json'] = 'string',
): TextEdit {
  if (option.config !== undefined) return NO_EDIT;
  const last = option.params.findLast((p) => p.from === undefined);
  const at = last?.span.end ?? option.argumentSpan?.end ?? option.nameSpan.end;
  if (option.json === true) {
    const top = lastTopLevelEnd(option);
    const member = `"${key}": ${jsonValue(value, type)}`;
    return { span: { start: top, end: top }, text: quoteFor(option, top - 1, `, ${member}`) };
  }
  const pair = `${key}=${escapeValue(value)}`;
  if (option.argument === undefined) return { span: { start: at, end: at }, text: ` ${shellQuote(pair)}` };
  return {
    span: { start: at, end: at },
    text: quoteFor(option, at - 1, last === undefined ? pair : `,${pair}`),
  };
}

/** The place before the closing brace of a JSON argument. */
function lastTopLevelEnd(option: Option): number {
  const word = option.word;
  if (word === undefined) return option.span.end;
  const brace = word.value.lastIndexOf('}');
  let k = brace;
  while (k > 0 && /\s/.test(word.value[k - 1])) k--;
  return word.ends === undefined ? word.span.start + k : (word.ends[k - 1] ?? word.span.end);
}

/** Takes an option out with the blanks (and the continuation) in front of it. */
export function removeOption(line: CommandLine, option: Option): TextEdit {
  if (option.config !== undefined) return NO_EDIT;
  let start = gapStart(line.text, option.span.start);
  let end = option.span.end;
  if (start === 0) {
    // Nothing stands before it: take the blanks after it instead.
    const gap = /^(?:[ \t]|\\\r?\n|\r?\n)*/.exec(line.text.slice(end));
    end += gap?.[0].length ?? 0;
    start = 0;
  }
  return { span: { start, end }, text: '' };
}

/** Where the blanks and continuations before `offset` begin. */
function gapStart(text: string, offset: number): number {
  let at = offset;
  for (;;) {
    const c = text[at - 1];
    if (c === ' ' || c === '\t' || c === '\n' || c === '\r') at--;
    else if (c === '\\' && (text[at] === '\n' || text[at] === '\r')) at--;
    else return at;
  }
}

/** Puts `argument` text (already shell-quoted) as a new option after `option`, laid out as that one is. */
export function insertOptionAfter(
  line: CommandLine,
  option: Option,
  name: string,
  argument: string,
): TextEdit {
  return {
    span: { start: option.span.end, end: option.span.end },
    text: `${separator(line, option)}-${name} ${argument}`,
  };
}

/** The same, before `option`. */
export function insertOptionBefore(
  line: CommandLine,
  option: Option,
  name: string,
  argument: string,
): TextEdit {
  const at = option.span.start;
  return { span: { start: at, end: at }, text: `-${name} ${argument}${separator(line, option)}` };
}

/** What stands between options around here: a blank, a newline, or a continuation with its indent. */
function separator(line: CommandLine, option: Option): string {
  const gap = line.text.slice(gapStart(line.text, option.span.start), option.span.start);
  if (gap !== '' && option.span.start > gap.length) return gap;
  const index = line.options.indexOf(option);
  const next = line.options[index + 1];
  if (next !== undefined) {
    const after = line.text.slice(option.span.end, next.span.start);
    if (/^(?:\s|\\\r?\n)+$/.test(after)) return after;
  }
  return ' ';
}
