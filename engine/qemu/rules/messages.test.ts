import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLEAN_LINES } from '../../../tests/differential/clean-lines.ts';
import { RULE_CASES } from '../../../tests/differential/rule-cases.ts';
import { context } from '../../../tests/differential/rule-context.ts';
import { explain } from '../explain.ts';
import { lint } from '../lint.ts';
import { parseCommandLine } from '../parse.ts';
import { RULES } from './table.ts';

const read = (area: string): Record<string, string> =>
  JSON.parse(readFileSync(`resources/messages/en/${area}.json`, 'utf8')) as Record<string, string>;
const lintTexts = read('lint');
const explainTexts = read('explain');

const wanted = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);

describe('texts', () => {
  it('every rule has a message and an explanation', () => {
    const missing = RULES.flatMap((r) => [`lint.${r.id}.message`, `lint.${r.id}.why`]).filter(
      (k) => lintTexts[k] === undefined,
    );
    expect(missing).toEqual([]);
  });

  it.each(['7.2', '10.2'])('every finding for QEMU %s has a text whose parameters it gives', (version) => {
    for (const { line } of RULE_CASES) {
      for (const problem of lint(parseCommandLine(line), { ...context, version })) {
        const shown = [
          [problem.message, problem.params] as const,
          ...problem.fixes.map((f) => [f.title, f.params] as const),
        ];
        for (const [key, params] of shown) {
          expect(lintTexts).toHaveProperty([key]);
          for (const name of wanted(lintTexts[key]))
            expect([line, key, Object.keys(params)]).toEqual([line, key, expect.arrayContaining([name])]);
        }
      }
    }
  });

  it('every sentence of an explanation has a text whose parameters it gives', () => {
    for (const line of [...CLEAN_LINES, ...RULE_CASES.map((c) => c.line)]) {
      for (const { key, params } of explain(parseCommandLine(line))) {
        expect(explainTexts).toHaveProperty([key]);
        for (const name of wanted(explainTexts[key]))
          expect([line, key, Object.keys(params)]).toEqual([line, key, expect.arrayContaining([name])]);
      }
    }
  });
});
