/** A shell script, one option a line, ready to be saved. Nothing is executed here. */
import type { CommandLine } from '../model.ts';
import type { Conversion } from './notes.ts';
import { optionText } from './write.ts';

/** The line as a POSIX shell script. Quoting and variables stay as they were written; comments stand above the command. */
export function toScript(line: CommandLine): Conversion {
  const comments = line.comments.map((c) => line.text.slice(c.start, c.end).trim());
  const program = line.program ?? 'qemu-system-x86_64';
  const images = line.images.map((w) => line.text.slice(w.span.start, w.span.end));
  const rows = [
    `exec ${program}`,
    ...images,
    ...line.options.map((o) => optionText(line, o).replaceAll(/\s*\\\r?\n\s*/g, ' ')),
  ];
  return {
    text: ['#!/bin/sh', 'set -eu', ...comments, '', rows.join(' \\\n  '), ''].join('\n'),
    notes: [],
  };
}
