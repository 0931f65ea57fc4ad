/** The linter's problems as the editor's squiggles, each with its fixes as buttons. */
import type { Diagnostic } from '@codemirror/lint';
import type { Fix, Problem } from '#engine/qemu/model.ts';

export interface ProblemWords {
  /** A message or a fix's title in the present language. */
  text: (key: string, params: Record<string, string>) => string;
  /** Makes the fix's edits. */
  apply: (fix: Fix) => void;
}

const SEVERITY: Record<Problem['severity'], Diagnostic['severity']> = {
  danger: 'error',
  error: 'error',
  warning: 'warning',
  silent: 'info',
  info: 'info',
};

/** Diagnostics for a text of `length` characters; spans that reach past it are cut. */
export function diagnostics(problems: readonly Problem[], length: number, words: ProblemWords): Diagnostic[] {
  return problems.map((problem) => {
    const message = words.text(problem.message, problem.params);
    return {
      from: Math.min(problem.span.start, length),
      to: Math.min(Math.max(problem.span.end, problem.span.start), length),
      severity: SEVERITY[problem.severity],
      source: problem.rule,
      message,
      markClass: `problem-${problem.severity}`,
      renderMessage: () => tip(message, problem.qemu),
      actions: problem.fixes.map((fix) => ({
        name: words.text(fix.title, fix.params),
        apply: () => words.apply(fix),
      })),
    };
  });
}

function tip(message: string, qemu: string | undefined): Node {
  const box = document.createElement('div');
  box.textContent = message;
  if (qemu !== undefined) {
    const said = document.createElement('div');
    said.className = 'problem-tip-qemu';
    said.textContent = qemu;
    box.append(said);
  }
  return box;
}
