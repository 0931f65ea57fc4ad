/** `-blockdev`, `-device` and `-object` as JSON arguments, and as QMP commands; and back. Source: qapi/*.json. */
import { applyEdits, removeSets, setParams, shellQuote } from '../edit.ts';
import type { CommandLine, LintContext, Option, Span, TextEdit } from '../model.ts';
import { keyTree, type KeyTree } from '../model/tree.ts';
import { readBool, readNumber, readSize } from '../model/values.ts';
import { schemaFor } from '../schema/bundled.ts';
import { memberAt } from '../schema/paths.ts';
import { deviceProperty, type Schema } from '../schema/schema.ts';
import type { Conversion, ConversionNote } from './notes.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Option, QMP command, root of its schema. */
const COMMANDS: readonly [option: string, command: string, root: string][] = [
  ['object', 'object-add', 'ObjectOptions'],
  ['blockdev', 'blockdev-add', 'BlockdevOptions'],
  ['device', 'device_add', ''],
];

/** The argument of `-blockdev`, `-device` or `-object` as a value, its numbers and switches typed as the schema wants them. */
export function optionValue(option: Option, schema: Schema): Json {
  const root = COMMANDS.find(([name]) => name === option.name)?.[2] ?? '';
  const tree = keyTree(setParams(option));
  const driver = option.params.find((p) => p.key === 'driver')?.value ?? '';
  const typeOf = (path: readonly string[]): string | undefined => {
    if (root === '') {
      // PCI addresses stay text: "04.0" is no number.
      return path[0] === 'addr' ? undefined : deviceProperty(schema, driver, path.join('.'))?.[1];
    }
    const member = memberAt(schema, root, tree, path);
    const type = member === undefined ? undefined : schema.types[member.type];
    return type?.kind === 'builtin' ? type.json : undefined;
  };
  return valueOf(tree, [], typeOf);
}

function valueOf(
  tree: KeyTree,
  path: readonly string[],
  typeOf: (path: readonly string[]) => string | undefined,
): Json {
  if (tree.children.size === 0) return leaf(tree, typeOf(path));
  const entries = [...tree.children].map(
    ([key, sub]) => [key, valueOf(sub, [...path, key], typeOf)] as const,
  );
  if (entries.every(([key], index) => key === String(index))) return entries.map(([, value]) => value);
  return Object.fromEntries(entries);
}

function leaf(tree: KeyTree, type: string | undefined): Json {
  const param = tree.param;
  if (param === undefined) return {};
  const { value, json } = param;
  if (json === 'null') return null;
  if (json === 'boolean') return value === 'on';
  if (json === 'number') return Number(value);
  if (type === 'boolean' || type === 'bool') return readBool(value) ?? value;
  if (type === 'int' || type === 'size' || (type !== undefined && /^u?int\d+$/.test(type)))
    return safe(type === 'int' || type === 'size' ? readSize(value) : readNumber(value)) ?? value;
  return value;
}

/** A number that JSON carries without loss. */
function safe(value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

/** The line with its block nodes, devices and objects as JSON. Options that hold a `$variable` stay, with a note. */
export function toJson(line: CommandLine, context: LintContext): Conversion {
  const schema = schemaFor(context);
  const edits: TextEdit[] = [];
  const notes: ConversionNote[] = [];
  const written: Option[] = [];
  for (const option of line.options) {
    if (option.json === true || option.argumentSpan === undefined) continue;
    if (!COMMANDS.some(([name]) => name === option.name)) continue;
    if (option.word?.variables !== undefined) {
      notes.push(note('variable', option));
      continue;
    }
    written.push(option);
    edits.push({ span: option.argumentSpan, text: shellQuote(JSON.stringify(optionValue(option, schema))) });
  }
  // JSON devices have no id that `-set` would find.
  edits.push(...removeSets(line, written));
  return { text: applyEdits(line.text, edits), notes };
}

/** QMP commands, one a line, in the line's order. All other options are named in notes: a running QEMU cannot be given them. */
export function toQmp(line: CommandLine, context: LintContext): Conversion {
  const schema = schemaFor(context);
  const rows: string[] = [];
  const notes: ConversionNote[] = [];
  for (const option of line.options) {
    const command = COMMANDS.find(([name]) => name === option.name)?.[1];
    if (command === undefined) notes.push(note('no-qmp', option));
    else if (option.word?.variables !== undefined) notes.push(note('variable', option));
    else rows.push(JSON.stringify({ execute: command, arguments: optionValue(option, schema) }));
  }
  return { text: rows.map((row) => `${row}\n`).join(''), notes };
}

function note(reason: string, option: Option): ConversionNote {
  return { key: `convert.kept.${reason}`, params: { drive: `-${option.name}` }, span: option.span };
}

/** Longest QMP text that is read. Characters. */
const MAX_QMP = 1024 * 1024;

/** QMP commands (`blockdev-add`, `device_add`, `object-add`) as options, in whatever layout. Other commands are noted. */
export function fromQmp(text: string): Conversion {
  const options: string[] = [];
  const notes: ConversionNote[] = [];
  for (const { json, span } of pieces(text.slice(0, MAX_QMP))) {
    const command = parseCommand(json);
    const option = COMMANDS.find(([, name]) => name === command?.execute)?.[0];
    if (command === undefined || option === undefined) {
      notes.push({
        key: command === undefined ? 'convert.read.no-json' : 'convert.read.no-option',
        params: { text: (command?.execute ?? json).slice(0, 60) },
        span,
      });
    } else options.push(`-${option} ${shellQuote(JSON.stringify(command.arguments))}`);
  }
  return { text: options.join(' \\\n  '), notes };
}

/** The JSON objects of a text and the lines between them that are none; prompts, arrows and answers are passed over. */
function* pieces(text: string): Iterable<{ json: string; span: Span }> {
  let at = 0;
  /** A brace without its end: whatever follows is looked at row by row, and once. */
  let broken = false;
  while (at < text.length) {
    const lead = /\s*(?:(?:->|\(QEMU\)|QMP>)\s*)?/y;
    lead.lastIndex = at;
    lead.test(text);
    const start = lead.lastIndex > at ? lead.lastIndex : at;
    if (start >= text.length) return;
    const answer = text.startsWith('<-', start);
    const from = start + (answer ? (/^<-[ \t]*/.exec(text.slice(start, start + 200))?.[0].length ?? 0) : 0);
    const end: number | undefined = text[from] === '{' && !broken ? objectEnd(text, from) : undefined;
    broken ||= text[from] === '{' && end === undefined;
    const row = text.indexOf('\n', start);
    at = end ?? (row < 0 ? text.length : row);
    if (!answer && text[start] !== '#') yield { json: text.slice(start, at), span: { start, end: at } };
  }
}

/** The offset after the brace that closes the one at `open`. */
function objectEnd(text: string, open: number): number | undefined {
  const token = /["{}]/g;
  token.lastIndex = open;
  const string = /"(?:[^"\\]|\\.)*"/y;
  let depth = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    if (found[0] === '"') {
      string.lastIndex = found.index;
      if (!string.test(text)) return undefined;
      token.lastIndex = string.lastIndex;
    } else if (found[0] === '{') depth++;
    else if (--depth === 0) return found.index + 1;
  }
  return undefined;
}

function parseCommand(text: string): { execute: string; arguments: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('execute' in value)) return undefined;
    if (typeof value.execute !== 'string') return undefined;
    return { execute: value.execute, arguments: 'arguments' in value ? value.arguments : {} };
  } catch {
    return undefined;
  }
}
