/** The shape of a lint rule: data that the linter, "explain this error" and the lessons share. */
import { NO_EDIT } from '../edit.ts';
import type { CommandLine, Fix, LintContext, Problem, Severity, Span, TextEdit } from '../model.ts';
import { inVersions } from '../model/version.ts';
import type { StorageModel } from '../storage-model.ts';

export interface RuleScope {
  line: CommandLine;
  model: StorageModel;
  context: LintContext;
}

/** One place where a rule strikes. */
export interface Finding {
  span: Span;
  params?: Record<string, string>;
  /** Which of the rule's QEMU messages is printed here; -1 for none (QEMU stays silent). */
  says?: number;
  /** Names for QEMU's message that differ from `params`. */
  names?: Record<string, string>;
  /** Variant of the text: `lint.<rule>.<variant>` instead of `.message`. */
  variant?: string;
  severity?: Severity;
  fixes?: Fix[];
  related?: Span[];
}

export interface Rule {
  id: string;
  severity: Severity;
  /** QEMU versions that it holds for: from this one on, before that one. */
  from?: string;
  before?: string;
  /** What QEMU prints, `{name}` standing for what differs. Empty when QEMU says nothing. */
  qemu: readonly string[];
  /** Where it strikes; absent for rules that no command line shows (they explain errors of a running QEMU). */
  find?: (scope: RuleScope) => Iterable<Finding>;
}

/** A rule as an object; the table is a list of these. */
export function rule(definition: Rule): Rule {
  return definition;
}

/** A fix under its title, with its edits. */
export function fix(title: string, params: Record<string, string>, ...edits: TextEdit[]): Fix {
  return { title: `lint.fix.${title}`, params, edits };
}

/** `{name}` replaced by what it stands for. */
export function fillMessage(template: string, names: Record<string, string>): string {
  return template.replace(/\{([A-Za-z]+)\}/g, (whole, name: string) => names[name] ?? whole);
}

/** Applies one rule. */
export function applyRule(rule: Rule, scope: RuleScope): Problem[] {
  if (rule.find === undefined || !inVersions(scope.context.version, rule.from, rule.before)) return [];
  const problems: Problem[] = [];
  for (const found of rule.find(scope)) {
    const params = found.params ?? {};
    const problem: Problem = {
      rule: rule.id,
      severity: found.severity ?? rule.severity,
      span: found.span,
      message: `lint.${rule.id}.${found.variant ?? 'message'}`,
      params,
      fixes: (found.fixes ?? []).filter((f) => f.edits.every((e) => e !== NO_EDIT)),
    };
    const template = rule.qemu[found.says ?? 0];
    if (template !== undefined) problem.qemu = fillMessage(template, { ...params, ...found.names });
    if (found.related !== undefined) problem.related = found.related;
    problems.push(problem);
  }
  return problems;
}
