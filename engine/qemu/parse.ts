/**
 * Command line text → model. Every spelling that people paste is understood: shell quoting, continuations, comments,
 * variables, one or two dashes, JSON; options that are none of storage's business are kept as they are.
 */
import { fromConfig } from './convert/config.ts';
import type { CommandLine, Option, Problem, Span, Word } from './model.ts';
import { applyElsewhere } from './parse/elsewhere.ts';
import { nearest } from './parse/nearest.ts';
import { optionKind, optionNames, type OptionKind } from './parse/option-table.ts';
import { readJsonParams, readParams } from './parse/params.ts';
import { hasVariable, spanIn, splitShell, syntaxProblem } from './parse/shell.ts';

/** Longest text that is read; what follows is refused with a message. Characters. */
export const MAX_TEXT = 4 * 1024 * 1024;

/** Most options and parameters that are judged and drawn; a longer text is parsed, printed and edited all the same. */
export const MAX_OPTIONS = 2000;
export const MAX_PARAMS = 10_000;
const MAX_PROBLEMS = 500;

const QEMU_PROGRAM = /(?:^|\/)(?:qemu-system-[a-z0-9_-]+|qemu-kvm|kvm|qemu|qemu-storage-daemon)(?:\.exe)?$/;
const DASHES = /^[\u2010-\u2015\u2212]/;

/**
 * Parses a pasted command line. Never throws; what makes no sense is in `problems`. `configs` holds the text of files that
 * `-readconfig` names, by the name that stands in the line.
 */
export function parseCommandLine(text: string, configs?: ReadonlyMap<string, string>): CommandLine {
  const shell = splitShell(text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text);
  const line: CommandLine = {
    text,
    words: [],
    images: [],
    options: [],
    comments: shell.comments,
    variables: shell.variables,
    problems: shell.problems,
  };
  if (text.length > MAX_TEXT) {
    line.problems.push(
      syntaxProblem('X08', { start: MAX_TEXT, end: text.length }, { limit: String(MAX_TEXT) }),
    );
  }
  controlCharacters(line);
  const segments = splitSegments(shell.words);
  for (const segment of segments) {
    if (isQemu(segment, segments.length)) readSegment(line, segment);
    else for (const word of segment) line.words.push({ text: word.value, span: word.span });
  }
  if (configs !== undefined) readConfigs(line, configs);
  let params = 0;
  const last = line.options.find((o, i) => (params += o.params.length) > MAX_PARAMS || i >= MAX_OPTIONS);
  const spare = line.images[MAX_OPTIONS];
  if (last !== undefined || spare !== undefined) {
    line.tooLarge = true;
    line.problems.push(
      syntaxProblem('X09', last?.nameSpan ?? spare.span, {
        options: String(MAX_OPTIONS),
        params: String(MAX_PARAMS),
      }),
    );
  }
  if (line.tooLarge !== true) applyElsewhere(line);
  line.problems.sort((a, b) => a.span.start - b.span.start);
  if (line.problems.length > MAX_PROBLEMS) line.problems.length = MAX_PROBLEMS;
  return line;
}

/** Puts the options of configuration files behind the `-readconfig` that names them; a file in a file is not read. */
function readConfigs(line: CommandLine, configs: ReadonlyMap<string, string>): void {
  line.options = line.options.flatMap((option) => {
    const { argument: name, argumentSpan: span } = option;
    const config = option.name === 'readconfig' && name !== undefined ? configs.get(name) : undefined;
    if (config === undefined || span === undefined) return [option];
    option.read = true;
    const inside = parseCommandLine(fromConfig(config).text).options.map((found): Option => {
      const { word: _word, ...rest } = found;
      return {
        ...rest,
        config: name,
        span,
        nameSpan: span,
        argumentSpan: span,
        params: found.params.map((p) => ({ ...p, span, keySpan: span, valueSpan: span })),
      };
    });
    return [option, ...inside];
  });
}

/** The text of a model, comments and layout included. `printCommandLine(parseCommandLine(t)) === t`. */
export function printCommandLine(line: CommandLine): string {
  return line.text;
}

/** Commands of one text: `qemu-img create … && qemu-system-x86_64 …`. Operators close the segment that they stand in. */
function splitSegments(words: Word[]): Word[][] {
  const segments: Word[][] = [];
  let current: Word[] = [];
  for (const word of words) {
    current.push(word);
    if (word.operator === true && !/[<>]/.test(word.value)) {
      segments.push(current);
      current = [];
    }
  }
  if (current.length > 0) segments.push(current);
  return segments;
}

function isQemu(segment: Word[], count: number): boolean {
  const first = segment[0];
  if (first.value.startsWith('-') || DASHES.test(first.value)) return true;
  for (const word of segment) {
    if (word.value.startsWith('-')) break;
    if (QEMU_PROGRAM.test(word.value)) return true;
  }
  if (/(?:^|\/)(?:qemu-(?:img|io|nbd)|virsh|virt-install|modprobe|lsof|rm|cp)$/.test(first.value))
    return false;
  return count === 1;
}

function readSegment(line: CommandLine, segment: Word[]): void {
  let index = 0;
  const program = segment.findIndex((w) => QEMU_PROGRAM.test(w.value));
  const firstOption = segment.findIndex((w) => w.value.startsWith('-') || DASHES.test(w.value));
  if (program >= 0 && (firstOption < 0 || program < firstOption)) {
    line.program = segment[program].value;
    index = program + 1;
  } else if (firstOption > 0) {
    // A wrapper or a program with an unusual name stands before the options.
    index = firstOption;
  }
  for (const word of segment.slice(0, index)) line.words.push({ text: word.value, span: word.span });
  while (index < segment.length) index = readOption(line, segment, index);
}

function readOption(line: CommandLine, segment: Word[], index: number): number {
  const word = segment[index];
  const value = word.value;
  if (word.operator === true) {
    line.words.push({ text: value, span: word.span });
    if (/[<>]/.test(value) && segment[index + 1] !== undefined) {
      line.words.push({ text: segment[index + 1].value, span: segment[index + 1].span });
      return index + 2;
    }
    return index + 1;
  }
  if (DASHES.test(value) && value.length > 1) dashProblem(line, word);
  else if (!value.startsWith('-') || value === '-') {
    line.words.push({ text: value, span: word.span });
    // Only a word that can be a file name: the shell may have put options into a variable.
    if (word.variables === undefined && value !== '') line.images.push(word);
    return index + 1;
  }
  const name = value
    .replace(/^[\u2010-\u2015\u2212]/, '-')
    .replace(/^--?/, '')
    .replace(/^[\u2010-\u2015\u2212]/, '');
  const kind = optionKind(name);
  const nameSpan = word.span;
  const next = segment[index + 1];
  const usable = next !== undefined && next.operator !== true;
  if (kind === undefined) {
    const variable = hasVariable(word, 0, value.length);
    if (!variable) unknownOption(line, name, word);
    const argument = usable && !isKnownOption(next) && /[=,]/.test(next.value) ? next : undefined;
    pushOption(line, name, nameSpan, argument, { style: 'text' });
    return index + (argument === undefined ? 1 : 2);
  }
  if (kind.style === 'flag') {
    pushOption(line, name, nameSpan, undefined, kind);
    return index + 1;
  }
  if (!usable || (isKnownOption(next) && next.quoting === undefined)) {
    line.problems.push(
      syntaxProblem('X02', nameSpan, { option: name }, { qemu: `-${name}: requires an argument` }),
    );
    pushOption(line, name, nameSpan, undefined, kind);
    return index + 1;
  }
  pushOption(line, name, nameSpan, next, kind);
  return index + 2;
}

function isKnownOption(word: Word): boolean {
  return /^--?[A-Za-z]/.test(word.value) && optionKind(word.value.replace(/^--?/, '')) !== undefined;
}

function pushOption(
  line: CommandLine,
  name: string,
  nameSpan: Span,
  word: Word | undefined,
  kind: OptionKind,
): void {
  const option: Option = {
    name,
    nameSpan,
    span: { start: nameSpan.start, end: word?.span.end ?? nameSpan.end },
    params: [],
  };
  if (word !== undefined) {
    option.argument = word.value;
    option.argumentSpan = word.span;
    option.word = word;
    if (kind.json === true && word.value.startsWith('{')) {
      option.json = true;
      option.params = readJsonParams(word, line.problems);
    } else if (kind.style === 'rest') {
      const list = name === 'global' && !/^[^.=]+\.[^=]+=/.test(word.value);
      option.params = list ? readParams(word, undefined, false) : readRest(word);
    } else if (kind.style !== 'text') {
      option.params = readParams(word, kind.implied, kind.style === 'keyval');
    }
  }
  line.options.push(option);
}

/** `-global driver.property=value` and `-set group.id.arg=value`: the value runs to the end, commas included. */
function readRest(word: Word): Option['params'] {
  const text = word.value;
  const equals = text.indexOf('=');
  if (equals < 0) return [];
  return [
    {
      key: text.slice(0, equals),
      value: text.slice(equals + 1),
      form: 'pair',
      span: spanIn(word, 0, text.length),
      keySpan: spanIn(word, 0, equals),
      valueSpan: spanIn(word, equals + 1, text.length),
      ...(hasVariable(word, 0, text.length) ? { variable: true } : {}),
    },
  ];
}

function unknownOption(line: CommandLine, name: string, word: Word): void {
  const near = line.problems.length > MAX_PROBLEMS ? undefined : nearest(name.slice(0, 40), optionNames());
  const problem: Problem = syntaxProblem(
    'X03',
    word.span,
    { option: name },
    { qemu: `-${name}: invalid option` },
  );
  if (near !== undefined) {
    problem.fixes.push({
      title: 'lint.fix.replace',
      params: { from: `-${name}`, to: `-${near}` },
      edits: [{ span: word.span, text: `-${near}` }],
    });
  }
  line.problems.push(problem);
}

/** Word processors and web pages turn `-` into a typographic dash. */
function dashProblem(line: CommandLine, word: Word): void {
  const dashes = /^[\u2010-\u2015\u2212-]+/.exec(word.value)?.[0] ?? '';
  const span = spanIn(word, 0, dashes.length);
  line.problems.push(
    syntaxProblem(
      'X06',
      span,
      { dash: dashes },
      {
        fixes: [
          { title: 'lint.fix.replace', params: { from: dashes, to: '-' }, edits: [{ span, text: '-' }] },
        ],
      },
    ),
  );
}

/** One problem for each run of control characters: they are invisible, and QEMU or the shell stumbles over them. */
function controlCharacters(line: CommandLine): void {
  // eslint-disable-next-line no-control-regex
  const pattern = /[\u0000-\u0008\u000e-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/g;
  let found = 0;
  for (const match of line.text.slice(0, MAX_TEXT).matchAll(pattern)) {
    const span = { start: match.index, end: match.index + match[0].length };
    const code = `U+${(match[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
    line.problems.push(
      syntaxProblem(
        'X07',
        span,
        { code },
        {
          fixes: [{ title: 'lint.fix.delete', params: { what: code }, edits: [{ span, text: '' }] }],
        },
      ),
    );
    if (++found >= 100) return;
  }
}
