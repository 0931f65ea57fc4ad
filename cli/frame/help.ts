/** Help texts: what stands in a command's file, laid out for a terminal of 80 columns. */
import type { Command, OptionSpec } from './command.ts';

const WIDTH = 80;

export function commandHelp(command: Omit<Command, 'run'>): string {
  const parts = [usageLine(command), '', fill(command.help, 0), '', 'Options:'];
  const rows: [string, string][] = Object.entries(command.options).map(([name, spec]) => [
    optionColumn(name, spec),
    optionText(spec),
  ]);
  rows.push(['  -h, --help', 'show this help']);
  parts.push(...table(rows));
  if (command.examples.length > 0) {
    parts.push('', 'Examples:');
    for (const { line, says } of command.examples) parts.push(`  ${line}`, fill(says, 6));
  }
  parts.push('', 'Exit codes:');
  const codes = command.exitCodes.map(({ code, means }): [string, string] => [`  ${code}`, means]);
  if (!command.exitCodes.some(({ code }) => code === 2))
    codes.push(['  2', 'the command line was not understood']);
  parts.push(...table(codes));
  return `${parts.join('\n')}\n`;
}

export function usageLine(command: Pick<Command, 'name' | 'operands'>): string {
  return `Usage: platter ${command.name} [options]${command.operands === '' ? '' : ` ${command.operands}`}`;
}

function optionColumn(name: string, spec: OptionSpec): string {
  const value = spec.kind === 'flag' ? '' : ` ${spec.value ?? 'VALUE'}`;
  return `${spec.short === undefined ? '      ' : `  -${spec.short}, `}--${name}${value}`;
}

function optionText(spec: OptionSpec): string {
  return spec.choices === undefined ? spec.help : `${spec.help} (${spec.choices.join(', ')})`;
}

/** Two columns; a first one that is too wide gets a line of its own. */
export function table(rows: readonly (readonly [string, string])[]): string[] {
  const indent = Math.min(28, Math.max(...rows.map(([left]) => left.length)) + 2);
  return rows.map(([left, right]) => {
    const text = fill(right, indent);
    return left.length + 2 > indent ? `${left}\n${text}` : left.padEnd(indent) + text.slice(indent);
  });
}

/** Breaks each paragraph (a line of `text`) at blanks; lines that begin with a blank stay as they are. */
export function fill(text: string, indent: number): string {
  const space = ' '.repeat(indent);
  return text
    .split('\n')
    .map((paragraph) => (paragraph.startsWith(' ') ? space + paragraph : fillParagraph(paragraph, space)))
    .join('\n');
}

function fillParagraph(text: string, space: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && space.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((one) => (one === '' ? '' : space + one)).join('\n');
}
