/** All rules. The linter, "explain this error" and the lessons read this one table. */
import { driveRules } from './drive.ts';
import type { Rule } from './rule.ts';
import { virtioRules } from './virtio.ts';

export const RULES: readonly Rule[] = [...driveRules, ...virtioRules];

const byId = new Map(RULES.map((r) => [r.id, r]));

/** The rule of that id. */
export function ruleById(id: string): Rule | undefined {
  return byId.get(id);
}
