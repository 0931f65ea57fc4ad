/** From the words of the command line to an exit code: 0 done, 1 failed, 2 not understood. */
import { nearest } from '#engine/qemu/parse/nearest.ts';
import described from '../package.json' with { type: 'json' };
import { commands } from './commands/index.ts';
import { parseArguments } from './frame/arguments.ts';
import { failed } from './frame/failure.ts';
import { commandHelp, table } from './frame/help.ts';
import type { Io } from './frame/io.ts';
import { UsageError } from './frame/usage-error.ts';

export async function main(words: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = words;
  if (first === undefined) {
    io.err(overview());
    return 2;
  }
  if (first === '--version' || first === '-V') {
    io.out(`platter ${described.version}\n`);
    return 0;
  }
  // `platter help map` and `platter map --help` are the same.
  const asksHelp = first === '--help' || first === '-h' || first === 'help';
  if (asksHelp && rest.length === 0) {
    io.out(overview());
    return 0;
  }
  return asksHelp ? runCommand(rest[0], ['--help'], io) : runCommand(first, rest, io);
}

async function runCommand(name: string, words: readonly string[], io: Io): Promise<number> {
  const entry = commands.find((command) => command.name === name);
  try {
    if (entry === undefined) throw unknownCommand(name);
    const command = await entry.load();
    const { help, values, operands, given } = parseArguments(command, words);
    if (help) {
      io.out(commandHelp(command));
      return 0;
    }
    return await command.run({ values, operands, given, io });
  } catch (error) {
    if (!(error instanceof UsageError)) return failed(io, error);
    io.err(`platter${entry === undefined ? '' : ` ${name}`}: ${error.message}\n`);
    io.err(`Try 'platter ${entry === undefined ? '' : `${name} `}--help'.\n`);
    return 2;
  }
}

function unknownCommand(name: string): UsageError {
  const names = commands.map((command) => command.name);
  const near = nearest(name, names);
  if (name.startsWith('-'))
    return new UsageError(`unknown option '${name}'; options stand behind the command`);
  return new UsageError(
    `there is no command '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
  );
}

function overview(): string {
  const rows = commands.map(({ name, summary }): [string, string] => [`  ${name}`, summary]);
  return `Usage: platter COMMAND [options] [operands]

A laboratory for VM disks: looks into disk images, checks QEMU's storage command
lines, runs them against simulated devices and traces every step.

Commands:
${table(rows).join('\n')}

  platter COMMAND --help   explains one command, with examples
  platter --version        says which version this is

Images are opened read-only unless a command's help says otherwise. A file that
an image names (its backing file) is opened only when --follow is given.
`;
}
