/** A problem of a command line as text, in English. */
import type { Fix, Problem } from '#engine/qemu/model.ts';
import texts from '#resources/messages/en/lint.json' with { type: 'json' };
import { fill } from '../frame/help.ts';
import { fillText } from '../frame/messages.ts';
import { excerpt, lineAndColumn } from './place.ts';

const catalogue: Readonly<Record<string, string>> = texts;

/** As compilers print it: place, severity, what; unless `brief`, the line with the spot marked, why, QEMU's words, the fix. */
export function problemText(problem: Problem, text: string, file: string, brief: boolean): string {
  const { line, column } = lineAndColumn(text, problem.span.start);
  const head = `${file}:${line}:${column}: ${problem.severity}: ${messageText(problem)} [${problem.rule}]\n`;
  if (brief) return head;
  const rest = excerpt(text, problem.span).map((row) => `    ${row}\n`);
  const why = catalogue[`lint.${problem.rule}.why`];
  if (why !== undefined) rest.push(`${fill(fillText(why, problem.params), 2)}\n`);
  if (problem.qemu !== undefined) rest.push(`  QEMU says: ${problem.qemu}\n`);
  for (const fix of problem.fixes) rest.push(`  fix: ${fixText(fix)}\n`);
  return head + rest.join('');
}

export function messageText(problem: Problem): string {
  return fillText(catalogue[problem.message] ?? problem.message, problem.params);
}

export function fixText(fix: Fix): string {
  return fillText(catalogue[fix.title] ?? fix.title, fix.params);
}
