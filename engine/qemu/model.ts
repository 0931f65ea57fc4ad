/**
 * The command line as a model that keeps the text's positions. Parsing loses nothing: printing an unchanged model gives the
 * same text, and every edit is an edit of that text.
 */

import type { Schema } from './schema/schema.ts';

/** Character offsets in the text, `end` exclusive. */
export interface Span {
  start: number;
  end: number;
}

/** One `key=value` of an option's argument (or a bare word: the implied key, a short-form boolean). */
export interface Param {
  /** `driver` for the implied first word of `-device`, the bare word for a short-form boolean. */
  key: string;
  /** Unescaped (`,,` is `,`); `on`/`off` for short-form booleans. */
  value: string;
  /** How it is spelt. */
  form: 'pair' | 'implied' | 'short-on' | 'short-off';
  span: Span;
  /** Where the key stands; empty at `span.start` for an implied key. */
  keySpan: Span;
  valueSpan: Span;
  /** The value's type when the argument is JSON. */
  json?: 'string' | 'number' | 'boolean' | 'null';
  /** The value holds a `$variable` or a `$(command)`: what QEMU will see is not known, and no rule judges it. */
  variable?: boolean;
  /** It stands in this option (`-set`, `-global`), which says it about the one that has it among its parameters. */
  from?: Option;
}

/** A word of the shell after unquoting, with the place of every character. */
export interface Word {
  value: string;
  span: Span;
  /** Text offset where each character of `value` starts, one more for the end; absent when the word is plain text. */
  starts?: number[];
  ends?: number[];
  /** Quoting of each character: 0 none, 1 single quotes, 2 double quotes; absent when the word is plain text. */
  quoting?: number[];
  /** Stretches of `value` that the shell would replace: `$name`, `${name}`, `$(…)`, backquotes. */
  variables?: Span[];
  /** `;`, `&&`, `|`, `&`, `>` …: the word is the shell's. */
  operator?: boolean;
}

/** One option of the command line, e.g. `-device virtio-blk-pci,drive=d0`. */
export interface Option {
  /** Without dashes: `device`, `drive`, `blockdev`, `m`, … */
  name: string;
  span: Span;
  nameSpan: Span;
  /** The argument after shell unquoting, when the option takes one. */
  argument?: string;
  argumentSpan?: Span;
  /** Decoded `key=value` list; empty for options that have none. For JSON arguments the flattened dotted keys. */
  params: Param[];
  /** The argument as the shell reads it; edits take its quoting from here. */
  word?: Word;
  /** The argument is a JSON object. */
  json?: boolean;
  /** It stands in this file that a `-readconfig` names, and cannot be edited here; its places are those of the file's name. */
  config?: string;
  /** A `-readconfig` whose options are in the line. */
  read?: boolean;
}

export interface CommandLine {
  text: string;
  /** The program and words that are no option, with their places. */
  words: { text: string; span: Span }[];
  /** The program's name, e.g. `qemu-system-x86_64`, when the line has one. */
  program?: string;
  /** A positional argument is the first hard disk, as with `-hda`. */
  images: Word[];
  options: Option[];
  /** More options or parameters than are judged and drawn. */
  tooLarge?: boolean;
  /** Comments (`# …`) and what the shell would replace (`$name`, `$(…)`), with their places. */
  comments: Span[];
  variables: Span[];
  /** What the parser could not make sense of: unbalanced quotes, an option without its argument, … */
  problems: Problem[];
}

/** `error`: QEMU refuses. `warning`: QEMU warns or changes something. `silent`: QEMU accepts and does what was not wanted. `danger`: data may be lost. */
export type Severity = 'error' | 'warning' | 'silent' | 'danger' | 'info';

export interface TextEdit {
  span: Span;
  text: string;
}

export interface Fix {
  /** Key in `resources/messages/<locale>/lint.json`. */
  title: string;
  params: Record<string, string>;
  /** Applied together; spans are of the text that was linted and do not overlap. */
  edits: TextEdit[];
}

export interface Problem {
  /** The rule's id, e.g. `D01`; syntax problems are `X…`. */
  rule: string;
  severity: Severity;
  span: Span;
  /** Key in `resources/messages/<locale>/lint.json`, with its parameters. */
  message: string;
  params: Record<string, string>;
  /** What QEMU prints, word for word, with the names filled in. */
  qemu?: string;
  fixes: Fix[];
  /** Other places that belong to it: the first definition of a duplicate, the drive that is used twice. */
  related?: Span[];
}

/** What the linter may know beside the text. */
export interface LintContext {
  /** `major.minor` of the QEMU that the line is for. */
  version: string;
  /** What is known of files, by the name that stands in the line: detected format and size in bytes. */
  files?: ReadonlyMap<string, { format: string; virtualSize: number; readOnly?: boolean; backing?: string }>;
  /** The text of files that `-readconfig` names, by the name that stands in the line. */
  configs?: ReadonlyMap<string, string>;
  /** What the QEMU at hand knows; the bundled schema of QEMU 7.2 when left out. */
  schema?: Schema;
}

/** A drawing of the line: front end on the left, back end on the right, the cut that `drive=` bridges between them. */
export interface Topology {
  nodes: TopologyNode[];
  edges: { from: string; to: string; kind: 'plug' | 'drive' | 'child' | 'backing'; broken?: boolean }[];
}
export interface TopologyNode {
  /** Unique in the drawing. */
  key: string;
  kind:
    | 'machine'
    | 'bus'
    | 'slot'
    | 'controller'
    | 'device'
    | 'drive'
    | 'format'
    | 'filter'
    | 'protocol'
    | 'file'
    | 'iothread'
    | 'missing';
  half: 'front' | 'back';
  /** `id=` or node-name, driver, or file name. */
  label: string;
  /** A second, quieter line: the driver, the address, … */
  detail?: string;
  /** The place in the text that it comes from. */
  span?: Span;
  /** The worst problem on it. */
  severity?: Severity;
}
