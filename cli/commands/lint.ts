/** `platter lint`: what is wrong with a QEMU command line. */
import { applyEdits } from '#engine/qemu/edit.ts';
import { fixAll, lint as findProblems } from '#engine/qemu/lint.ts';
import type { CommandLine, LintContext, Problem } from '#engine/qemu/model.ts';
import { MAX_TEXT, parseCommandLine } from '#engine/qemu/parse.ts';
import { defineCommand } from '../frame/command.ts';
import { failureText } from '../frame/failure.ts';
import type { Io } from '../frame/io.ts';
import { readText } from '../frame/text-file.ts';
import { lineAndColumn } from '../lint/place.ts';
import { fixText, messageText, problemText } from '../lint/problem-text.ts';
import { DEFAULT_VERSION, parseVersion } from '../lint/version.ts';

export const lint = defineCommand({
  name: 'lint',
  operands: 'FILE',
  count: { least: 1, most: 1 },
  help:
    'Reads a command line as people paste it (several lines with backslashes, quotes, comments; - for standard input) and ' +
    'says what is wrong with its storage options: what QEMU would refuse, with the words it would use, and what it would ' +
    'accept and do differently from what was meant. Nothing is executed and no image is opened.',
  options: {
    qemu: {
      kind: 'text',
      value: 'VERSION',
      help: `the QEMU that the line is for, as major.minor (default ${DEFAULT_VERSION})`,
    },
    fix: {
      kind: 'flag',
      help: 'print the line with the first fix of every problem applied; what is left is said on standard error',
    },
    'read-config': {
      kind: 'flag',
      help: "read the files that the line's -readconfig options name; without it nothing that may stand in them is missed",
    },
    brief: { kind: 'flag', help: 'one line for each problem' },
    json: { kind: 'flag', help: 'print the problems as JSON, with their places and fixes' },
  },
  examples: [
    {
      line: 'platter lint vm.sh',
      says: 'the problems of a start script, each with its place and its reason',
    },
    { line: "echo '-drive file=a.img -hda b.img' | platter lint -", says: 'a line from standard input' },
    { line: 'platter lint --fix vm.sh > repaired.sh', says: 'the script with all fixes applied' },
  ],
  exitCodes: [
    { code: 0, means: 'nothing is wrong (hints aside)' },
    { code: 1, means: 'problems were found; with --fix: some are left' },
    { code: 2, means: 'the file could not be read, or the command line was not understood' },
  ],
  async run({ values, operands: [file], io }) {
    const context: LintContext = { version: parseVersion(values.qemu) };
    let text: string;
    try {
      text = await readText(file, MAX_TEXT, io);
    } catch (error) {
      io.err(failureText(error, file));
      return 2;
    }
    const shown = file === '-' ? 'standard input' : file;
    if (values.fix) {
      text = fixAll(text, context);
      io.out(text);
    }
    let line = parseCommandLine(text);
    if (values['read-config']) {
      try {
        line = parseCommandLine(text, await configsOf(line, io));
      } catch (error) {
        io.err(failureText(error, file));
        return 2;
      }
    }
    const problems = findProblems(line, context);
    const print = (row: string): void => (values.fix ? io.err(row) : io.out(row));
    if (values.json) {
      if (!values.fix)
        io.out(
          `${JSON.stringify(
            problems.map((problem) => asJson(problem, text)),
            null,
            2,
          )}\n`,
        );
    } else {
      for (const problem of problems) print(problemText(problem, text, shown, values.brief));
    }
    return problems.some((problem) => problem.severity !== 'info') ? 1 : 0;
  },
});

/** The configuration files of the line, by the names that stand in it. */
async function configsOf(line: CommandLine, io: Io): Promise<Map<string, string>> {
  const configs = new Map<string, string>();
  for (const { name, argument } of line.options)
    if (name === 'readconfig' && argument !== undefined && argument !== '-')
      configs.set(argument, await readText(argument, MAX_TEXT, io));
  return configs;
}

function asJson(problem: Problem, text: string): object {
  return {
    rule: problem.rule,
    severity: problem.severity,
    ...lineAndColumn(text, problem.span.start),
    span: problem.span,
    message: messageText(problem),
    ...(problem.qemu === undefined ? {} : { qemu: problem.qemu }),
    fixes: problem.fixes.map((fix) => ({
      title: fixText(fix),
      edits: fix.edits,
      result: applyEdits(text, fix.edits),
    })),
  };
}
