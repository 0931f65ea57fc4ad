/** Says what is wrong with a command line. */
import { applyEdits, editsOverlap } from './edit.ts';
import type { CommandLine, LintContext, Problem, TextEdit } from './model.ts';
import { parseCommandLine } from './parse.ts';
import { applyRule } from './rules/rule.ts';
import { hasUnknownParts } from './rules/references.ts';
import { RULES } from './rules/table.ts';
import { storageModel } from './storage-model.ts';

/** Rules that miss something: a drive, a bus, an object, a user. */
const NEEDS_WHOLE = new Set('D01 D04 D08 B04 B05 B10 B11 B12 I01 P02 S01 V08 V09 O09'.split(' '));

/** Every problem of the line, syntax problems included, in the order of the text. */
export function lint(line: CommandLine, context: LintContext): Problem[] {
  const scope = { line, model: storageModel(line), context };
  const problems = [...line.problems];
  if (line.tooLarge === true) return problems;
  const partial = hasUnknownParts(line);
  for (const rule of RULES) {
    // What is not here may stand where nobody can see it.
    if (!partial || !NEEDS_WHOLE.has(rule.id)) problems.push(...applyRule(rule, scope));
  }
  return problems.sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
}

/** The text with the first fix of every problem applied, over and over until nothing is left to fix. */
export function fixAll(text: string, context: LintContext): string {
  let now = text;
  for (let round = 0; round < 8; round++) {
    const edits: TextEdit[] = [];
    for (const problem of lint(parseCommandLine(now, context.configs), context)) {
      const fix = problem.fixes[0];
      if (fix !== undefined && !editsOverlap(edits, fix.edits)) edits.push(...fix.edits);
    }
    const next = applyEdits(now, edits);
    if (next === now) break;
    now = next;
  }
  return now;
}
