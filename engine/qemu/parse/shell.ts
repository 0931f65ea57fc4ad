/**
 * Splits text into words as a POSIX shell does (quotes, backslashes, comments, continuations), keeps the place of every
 * character, and executes nothing: `$name` and `$(…)` stay as they are and are marked.
 * Source: IEEE Std 1003.1, Shell Command Language, 2.2 Quoting and 2.3 Token Recognition.
 */
import type { Problem, Span, Word } from '../model.ts';

export interface ShellText {
  words: Word[];
  comments: Span[];
  variables: Span[];
  problems: Problem[];
}

const PLAIN = 0;
const SINGLE = 1;
const DOUBLE = 2;

const OPERATORS = ['&&', '||', ';;', '>>', '<<', '&>', '2>&1', '2>', ';', '|', '&', '>', '<'];

export function syntaxProblem(
  rule: string,
  span: Span,
  params: Record<string, string> = {},
  rest: Partial<Problem> = {},
): Problem {
  return { rule, severity: 'error', span, message: `lint.${rule}.message`, params, fixes: [], ...rest };
}

/** A word under construction. Places are kept only from the first quote or escape on: most words have none. */
class WordBuilder {
  value = '';
  starts: number[] | undefined;
  ends: number[] = [];
  quoting: number[] = [];
  variables: Span[] = [];
  begin = -1;

  open(at: number): void {
    if (this.begin < 0) this.begin = at;
  }

  /** From here on the value is no longer a stretch of the text. */
  unplain(): void {
    if (this.starts !== undefined) return;
    this.starts = [];
    for (let i = 0; i < this.value.length; i++) {
      this.starts.push(this.begin + i);
      this.ends.push(this.begin + i + 1);
      this.quoting.push(PLAIN);
    }
  }

  push(char: string, start: number, end: number, quoting: number): void {
    this.open(start);
    this.value += char;
    if (this.starts === undefined) return;
    for (let i = 0; i < char.length; i++) {
      this.starts.push(start);
      this.ends.push(end);
      this.quoting.push(quoting);
    }
  }

  /** `text` from `start` to `end`, letter for letter. */
  run(text: string, start: number, end: number, quoting: number): void {
    this.open(start);
    this.value += text.slice(start, end);
    if (this.starts === undefined) return;
    for (let i = start; i < end; i++) {
      this.starts.push(i);
      this.ends.push(i + 1);
      this.quoting.push(quoting);
    }
  }

  finish(end: number): Word | undefined {
    if (this.begin < 0) return undefined;
    const word: Word = { value: this.value, span: { start: this.begin, end } };
    if (this.starts !== undefined) {
      this.starts.push(this.value.length === 0 ? end : this.ends[this.ends.length - 1]);
      word.starts = this.starts;
      word.ends = this.ends;
      word.quoting = this.quoting;
    }
    if (this.variables.length > 0) word.variables = this.variables;
    return word;
  }
}

/** A run of letters that mean nothing to the shell. */
const ORDINARY = /[^\s\\'"$`#;|&<>^\u00a0]+/y;

const ANSI_C: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  v: '\v',
};

/** Reads `text`; never throws, what is unbalanced becomes a problem at its place. */
export function splitShell(text: string): ShellText {
  const out: ShellText = { words: [], comments: [], variables: [], problems: [] };
  let word = new WordBuilder();
  let i = 0;
  const flush = (end: number): void => {
    const done = word.finish(end);
    if (done !== undefined) out.words.push(done);
    word = new WordBuilder();
  };

  while (i < text.length) {
    ORDINARY.lastIndex = i;
    if (ORDINARY.test(text) && !(text[i] === '2' && word.begin < 0 && text[i + 1] === '>')) {
      word.run(text, i, ORDINARY.lastIndex, PLAIN);
      i = ORDINARY.lastIndex;
      continue;
    }
    const c = text[i];
    if (c === ' ' || c === '\t' || c === '\n' || c === '\r' || c === '\f' || c === '\v' || c === '\u00a0') {
      flush(i);
      i++;
    } else if (c === '\\') {
      i = backslash(text, i, word, out, flush);
    } else if ((c === '^' || c === '`') && /^.[ \t]*\r?\n/.test(text.slice(i, i + 40)) && word.begin < 0) {
      // Continuations of cmd.exe and PowerShell: their users paste lines too.
      i = text.indexOf('\n', i) + 1;
    } else if (c === '#' && word.begin < 0) {
      const end = endOfLine(text, i);
      out.comments.push({ start: i, end });
      i = end;
    } else if (c === "'") {
      i = single(text, i, word, out);
    } else if (c === '"') {
      i = double(text, i, word, out);
    } else if (c === '$' && text[i + 1] === "'") {
      i = ansiC(text, i, word, out);
    } else if (c === '$' || c === '`') {
      i = variable(text, i, word, out, PLAIN);
    } else {
      const operator =
        isOperatorStart(c) || (c === '2' && word.begin < 0)
          ? OPERATORS.find((o) => text.startsWith(o, i) && (c !== '2' || word.begin < 0))
          : undefined;
      if (operator === undefined) {
        word.push(c, i, i + 1, PLAIN);
        i++;
      } else {
        flush(i);
        out.words.push({ value: operator, span: { start: i, end: i + operator.length }, operator: true });
        i += operator.length;
      }
    }
  }
  flush(text.length);
  return out;
}

function isOperatorStart(c: string): boolean {
  return c === ';' || c === '|' || c === '&' || c === '>' || c === '<';
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

function backslash(
  text: string,
  i: number,
  word: WordBuilder,
  out: ShellText,
  flush: (end: number) => void,
): number {
  const next = text[i + 1];
  if (next === '\n') {
    word.unplain();
    return i + 2;
  }
  if (next === '\r' && text[i + 2] === '\n') {
    word.unplain();
    return i + 3;
  }
  if (next === undefined) {
    // A backslash at the very end continues a line that does not come; the shell drops it.
    flush(i);
    return i + 1;
  }
  if (next === ' ' || next === '\t') {
    let end = i + 1;
    while (text[end] === ' ' || text[end] === '\t' || text[end] === '\r') end++;
    if (text[end] === '\n' || end >= text.length) {
      // `\` with blanks after it quotes a blank instead of continuing the line: the best hidden of all mistakes.
      out.problems.push(
        syntaxProblem(
          'X04',
          { start: i, end },
          {},
          {
            fixes: [
              { title: 'lint.fix.trim', params: {}, edits: [{ span: { start: i + 1, end }, text: '' }] },
            ],
          },
        ),
      );
      flush(i);
      return end;
    }
  }
  word.unplain();
  word.push(next, i, i + 2, PLAIN);
  return i + 2;
}

function unbalanced(out: ShellText, mark: string, start: number, end: number): void {
  out.problems.push(
    syntaxProblem(
      'X01',
      { start, end: Math.min(end, start + mark.length) },
      { quote: mark },
      {
        fixes: [
          {
            title: 'lint.fix.close-quote',
            params: { quote: mark },
            edits: [{ span: { start: end, end }, text: mark }],
          },
        ],
      },
    ),
  );
}

function single(text: string, i: number, word: WordBuilder, out: ShellText): number {
  word.open(i);
  word.unplain();
  let end = text.indexOf("'", i + 1);
  const closed = end >= 0;
  if (!closed) {
    end = text.trimEnd().length;
    unbalanced(out, "'", i, Math.max(end, i + 1));
    end = text.length;
  }
  word.run(text, i + 1, end, SINGLE);
  return closed ? end + 1 : end;
}

function double(text: string, i: number, word: WordBuilder, out: ShellText): number {
  word.open(i);
  word.unplain();
  let k = i + 1;
  while (k < text.length) {
    const c = text[k];
    if (c === '"') return k + 1;
    if (c === '\\' && k + 1 < text.length && '$`"\\\n'.includes(text[k + 1])) {
      if (text[k + 1] !== '\n') word.push(text[k + 1], k, k + 2, DOUBLE);
      k += 2;
    } else if (c === '$' || c === '`') {
      k = variable(text, k, word, out, DOUBLE);
    } else {
      let end = k + 1;
      while (end < text.length && !'"\\$`'.includes(text[end])) end++;
      word.run(text, k, end, DOUBLE);
      k = end;
    }
  }
  unbalanced(out, '"', i, Math.max(text.trimEnd().length, i + 1));
  return text.length;
}

/** `$'…'` with C escapes (bash, POSIX 2024). */
function ansiC(text: string, i: number, word: WordBuilder, out: ShellText): number {
  word.open(i);
  word.unplain();
  let k = i + 2;
  while (k < text.length && text[k] !== "'") {
    if (text[k] === '\\' && k + 1 < text.length) {
      const hex = /^\\x([0-9a-fA-F]{1,2})/.exec(text.slice(k, k + 4));
      const length = hex === null ? 2 : hex[0].length;
      const char =
        hex === null
          ? (ANSI_C[text[k + 1]] ?? text[k + 1])
          : String.fromCharCode(Number.parseInt(hex[1], 16));
      word.push(char, k, k + length, SINGLE);
      k += length;
    } else {
      word.push(text[k], k, k + 1, SINGLE);
      k++;
    }
  }
  if (k >= text.length) {
    unbalanced(out, "'", i + 1, Math.max(text.trimEnd().length, i + 2));
    return text.length;
  }
  return k + 1;
}

/** Marks `$name`, `${…}`, `$(…)` or a backquoted command, which is kept letter for letter. */
function variable(text: string, i: number, word: WordBuilder, out: ShellText, quoting: number): number {
  let end = i + 1;
  if (text[i] === '`') {
    end = text.indexOf('`', i + 1) + 1;
  } else if (text[i + 1] === '(' || text[i + 1] === '{') {
    end = closing(text, i + 1);
  } else {
    const name = /^\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/.exec(text.slice(i, i + 256));
    if (name === null) {
      word.push('$', i, i + 1, quoting);
      return i + 1;
    }
    end = i + name[0].length;
  }
  if (end <= 0) {
    unbalanced(out, text[i] === '`' ? '`' : text[i + 1] === '(' ? ')' : '}', i, text.trimEnd().length);
    end = text.length;
  }
  const from = word.value.length;
  word.run(text, i, end, quoting);
  word.variables.push({ start: from, end: word.value.length });
  out.variables.push({ start: i, end });
  return end;
}

/** The offset after the bracket that closes the one at `open`, or 0. */
function closing(text: string, open: number): number {
  const opener = text[open];
  const closer = opener === '(' ? ')' : '}';
  let depth = 0;
  for (let k = open; k < text.length; k++) {
    if (text[k] === opener) depth++;
    else if (text[k] === closer && --depth === 0) return k + 1;
  }
  return 0;
}

/** The place in the text of `word.value.slice(from, to)`. */
export function spanIn(word: Word, from: number, to: number): Span {
  if (word.starts === undefined || word.ends === undefined) {
    return { start: word.span.start + from, end: word.span.start + to };
  }
  const start = word.starts[from] ?? word.span.end;
  if (to <= from) return { start, end: start };
  return { start, end: word.ends[to - 1] ?? word.span.end };
}

/** Whether the stretch `from`–`to` of the word's value touches something that the shell replaces. */
export function hasVariable(word: Word, from: number, to: number): boolean {
  return word.variables?.some((v) => v.start < to && v.end > from) ?? false;
}
