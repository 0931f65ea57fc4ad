/** A subcommand's words as options and operands. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearest } from '#engine/qemu/parse/nearest.ts';
import type { Command, OptionSpec, OptionSpecs, Values } from './command.ts';
import { UsageError } from './usage-error.ts';

export interface ParsedArguments<O extends OptionSpecs> {
  help: boolean;
  values: Values<O>;
  operands: string[];
  /** The names of the options, as often and in the order in which they were given. */
  given: string[];
}

/** Throws UsageError naming the word that is wrong and what would be right. */
export function parseArguments<O extends OptionSpecs>(
  command: Command<O>,
  words: readonly string[],
): ParsedArguments<O> {
  const { tokens } = parseArgs({
    args: withLast(command, words),
    options: nodeOptions(command.options),
    // Not strict: the messages are ours.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, spec] of Object.entries(command.options)) {
    if (spec.kind !== 'text') values[name] = spec.kind === 'flag' ? false : [];
  }
  const operands: string[] = [];
  const given: string[] = [];
  let help = false;
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    else if (token.kind === 'option') {
      if (token.name === 'help') help = true;
      else {
        takeOption(command.options, values, token);
        given.push(token.name);
      }
    }
  }
  if (!help) checkCount(command, operands);
  return { help, values: values as Values<O>, operands, given };
}

/** `resize disk -1G`: as for qemu-img the last word is the size, not an option. */
function withLast({ negativeLast }: Pick<Command, 'negativeLast'>, words: readonly string[]): string[] {
  const last = words.at(-1) ?? '';
  if (negativeLast !== true || !/^-\d/.test(last) || words.includes('--')) return [...words];
  return [...words.slice(0, -1), '--', last];
}

interface OptionToken {
  name: string;
  rawName: string;
  value?: string;
  inlineValue?: boolean;
}

function takeOption(
  specs: OptionSpecs,
  values: Record<string, boolean | string | string[] | undefined>,
  token: OptionToken,
): void {
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
  if (spec === undefined) throw unknownOption(specs, token.rawName);
  if (spec.kind === 'flag') {
    if (token.value !== undefined) throw new UsageError(`option '${token.rawName}' takes no value`);
    values[token.name] = true;
    return;
  }
  if (token.value === undefined) {
    throw new UsageError(
      `option '${token.rawName}' needs a value: ${token.rawName} ${spec.value ?? 'VALUE'}`,
    );
  }
  checkChoice(spec, token.rawName, token.value);
  if (spec.kind === 'text') values[token.name] = token.value;
  else (values[token.name] as string[]).push(token.value);
}

function checkChoice(spec: OptionSpec, name: string, value: string): void {
  if (spec.choices === undefined || spec.choices.includes(value)) return;
  const near = nearest(value, spec.choices);
  const meant = near === undefined ? '' : `; did you mean '${near}'?`;
  throw new UsageError(
    `option '${name}' cannot be '${value}': it is one of ${spec.choices.join(', ')}${meant}`,
  );
}

function unknownOption(specs: OptionSpecs, word: string): UsageError {
  const names = [...Object.keys(specs).map((name) => `--${name}`), '--help'];
  const near = word.startsWith('--') ? nearest(word, names) : undefined;
  return new UsageError(`unknown option '${word}'${near === undefined ? '' : `; did you mean '${near}'?`}`);
}

function checkCount(command: Pick<Command, 'operands' | 'count'>, operands: string[]): void {
  const { least, most } = command.count;
  if (operands.length < least) throw new UsageError(`expected ${command.operands}, got ${counted(operands)}`);
  if (operands.length > most) {
    throw new UsageError(
      `expected ${command.operands === '' ? 'no operand' : command.operands}, got ${counted(operands)}`,
    );
  }
}

function counted(operands: string[]): string {
  return operands.length === 0 ? 'nothing' : operands.map((word) => `'${word}'`).join(' ');
}

function nodeOptions(specs: OptionSpecs): NonNullable<ParseArgsConfig['options']> {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, spec] of Object.entries(specs)) {
    options[name] = {
      type: spec.kind === 'flag' ? 'boolean' : 'string',
      multiple: spec.kind === 'list',
      ...(spec.short === undefined ? {} : { short: spec.short }),
    };
  }
  return options;
}
