/** "Explain this error": what QEMU, qemu-img or libvirt printed → the rule, its cause, and the fix in the line at hand. */
import { lint } from './lint.ts';
import type { CommandLine, LintContext, Problem, Span } from './model.ts';
import type { Rule } from './rules/rule.ts';
import { RULES } from './rules/table.ts';

export interface ErrorExplanation {
  rule: string;
  /** Keys of `lint.json`: the rule's explanation. */
  why: string;
  /** Where it stands in the pasted text. */
  span: Span;
  /** What the message names: `{drive: 'disk0'}`. */
  names: Record<string, string>;
  /** The same problem found in the line, with its fixes. */
  problem?: Problem;
}

interface Pattern {
  rule: Rule;
  regex: RegExp;
  names: string[];
  /** Letters that are fixed: of two that match, the more exact one is right. */
  weight: number;
}

/** `can't find value '{drive}'` as a pattern that reads the name. */
function patternOf(rule: Rule, template: string): Pattern {
  const names: string[] = [];
  let weight = 0;
  const source = template
    .split(/(\{[A-Za-z]+\})/)
    .map((part, index) => {
      const name = /^\{([A-Za-z]+)\}$/.exec(part)?.[1];
      if (name === undefined) {
        weight += part.length;
        return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/\s+/g, '\\s+');
      }
      names.push(name);
      // A name in front must not swallow the program's name and the option that QEMU prints before the message.
      return index <= 1 && /^-?\{/.test(template) ? '([^\\s:]{1,200})' : '([^\\n]{0,300}?)';
    })
    .join('');
  // A message that ends in a name takes the rest of the line.
  const end = template.endsWith('}') ? '(?=\\s|$)' : '';
  return { rule, regex: new RegExp(source + end, 'm'), names, weight };
}

let patterns: Pattern[] | undefined;

function allPatterns(): Pattern[] {
  patterns ??= RULES.flatMap((rule) => rule.qemu.map((template) => patternOf(rule, template)));
  return patterns;
}

/** Longest pasted text that is read. Characters. */
const MAX_PASTE = 64 * 1024;
const MAX_LINE = 2000;

/** Explains every message that the text holds, in its order; empty when none is known. */
export function explainError(text: string, line?: CommandLine, context?: LintContext): ErrorExplanation[] {
  const found: (ErrorExplanation & { weight: number })[] = [];
  const problems = line === undefined || context === undefined ? [] : lint(line, context);
  let offset = 0;
  for (const row of text.slice(0, MAX_PASTE).split('\n')) {
    let best: (ErrorExplanation & { weight: number }) | undefined;
    for (const { rule, regex, names, weight } of allPatterns()) {
      if (best !== undefined && weight <= best.weight) continue;
      const match = regex.exec(row.slice(0, MAX_LINE));
      if (match === null) continue;
      best = {
        rule: rule.id,
        why: `lint.${rule.id}.why`,
        span: { start: offset + match.index, end: offset + match.index + match[0].length },
        names: Object.fromEntries(names.map((name, i) => [name, match[i + 1]])),
        weight,
      };
    }
    if (best !== undefined) found.push(best);
    offset += row.length + 1;
  }
  return found.map(({ rule, why, span, names }) => {
    const explanation: ErrorExplanation = { rule, why, span, names };
    const printed = text.slice(span.start, span.end);
    const problem =
      problems.find((p) => p.qemu !== undefined && printed.includes(p.qemu)) ??
      problems.find(
        (p) => p.rule === rule && Object.values(names).some((n) => Object.values(p.params).includes(n)),
      ) ??
      problems.find((p) => p.rule === rule);
    return problem === undefined ? explanation : { ...explanation, problem };
  });
}
