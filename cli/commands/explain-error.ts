/** `platter explain-error`: what QEMU, qemu-img or libvirt meant. */
import { applyEdits } from '#engine/qemu/edit.ts';
import { explainError, type ErrorExplanation } from '#engine/qemu/explain-error.ts';
import type { TextEdit } from '#engine/qemu/model.ts';
import { MAX_TEXT, parseCommandLine } from '#engine/qemu/parse.ts';
import texts from '#resources/messages/en/lint.json' with { type: 'json' };
import { defineCommand } from '../frame/command.ts';
import { failureText } from '../frame/failure.ts';
import { fill } from '../frame/help.ts';
import { fillText } from '../frame/messages.ts';
import { readText } from '../frame/text-file.ts';
import { problemText } from '../lint/problem-text.ts';
import { DEFAULT_VERSION, parseVersion } from '../lint/version.ts';

const catalogue: Readonly<Record<string, string>> = texts;

export const explainErrorCommand = defineCommand({
  name: 'explain-error',
  operands: 'FILE',
  count: { least: 1, most: 1 },
  help:
    'Reads what QEMU, qemu-img or libvirt printed (- reads standard input) and says what each known message means: its cause, ' +
    'and with --line where the command line has that fault and how to mend it. Nothing is executed and no image is opened.',
  options: {
    line: { kind: 'text', value: 'FILE', help: 'the command line that the messages are about' },
    qemu: {
      kind: 'text',
      value: 'VERSION',
      help: `the QEMU that printed them, as major.minor (default ${DEFAULT_VERSION})`,
    },
    fix: {
      kind: 'flag',
      help: 'print the line with the first fix for each message applied; the explanations go to standard error',
    },
  },
  examples: [
    {
      line: 'sh vm.sh 2>&1 | platter explain-error --line vm.sh -',
      says: 'why the machine did not start, and where the mistake stands',
    },
  ],
  exitCodes: [
    { code: 0, means: 'every message of the text was known' },
    { code: 1, means: 'no message was known' },
    { code: 2, means: 'a file could not be read' },
  ],
  async run({ values, operands: [file], io }) {
    const context = { version: parseVersion(values.qemu) };
    let printed: string;
    let text: string | undefined;
    try {
      printed = await readText(file, MAX_TEXT, io);
      if (values.line !== undefined) text = await readText(values.line, MAX_TEXT, io);
    } catch (error) {
      io.err(failureText(error, file));
      return 2;
    }
    const line = text === undefined ? undefined : parseCommandLine(text);
    const found = explainError(printed, line, context);
    const print = (row: string): void => (values.fix ? io.err(row) : io.out(row));
    if (found.length === 0) print('No rule knows this message.\n');
    for (const one of found) print(explanationText(one, printed, text, values.line ?? ''));
    if (values.fix && text !== undefined) io.out(mended(text, found));
    return found.length === 0 ? 1 : 0;
  },
});

function explanationText(
  { rule, why, span, names, problem }: ErrorExplanation,
  printed: string,
  text: string | undefined,
  file: string,
): string {
  const head = `${printed.slice(span.start, span.end)} [${rule}]\n`;
  if (problem !== undefined && text !== undefined) return head + problemText(problem, text, file, false);
  const reason = Object.hasOwn(catalogue, why) ? `${fill(fillText(catalogue[why], names), 2)}\n` : '';
  return head + reason + (text === undefined ? '' : '  The line does not have this fault.\n');
}

/** The line with the first fix of each problem; of two that touch the same place the first counts. */
function mended(text: string, found: readonly ErrorExplanation[]): string {
  const edits: TextEdit[] = [];
  for (const { problem } of found) {
    const fix = problem?.fixes[0];
    if (fix !== undefined && !fix.edits.some((e) => edits.some((other) => overlap(e, other))))
      edits.push(...fix.edits);
  }
  return applyEdits(text, edits);
}

function overlap(a: TextEdit, b: TextEdit): boolean {
  return a.span.start <= b.span.end && b.span.start <= a.span.end;
}
