/** What a subcommand is: its options and its help as data, and what it does. One file for each in `cli/commands/`. */
import type { Io } from './io.ts';

export interface OptionSpec {
  /** `flag` takes no value. `text` takes one; the last one given counts. `list` may be given many times. */
  readonly kind: 'flag' | 'text' | 'list';
  /** One letter: `-f`. */
  readonly short?: string;
  /** What the value is called in the help: `FMT`. */
  readonly value?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  readonly help: string;
}
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type Value<S extends OptionSpec> = S['kind'] extends 'flag'
  ? boolean
  : S['kind'] extends 'list'
    ? string[]
    : string | undefined;
export type Values<O extends OptionSpecs> = { [K in keyof O]: Value<O[K]> };

export interface Invocation<O extends OptionSpecs = OptionSpecs> {
  readonly values: Values<O>;
  readonly operands: readonly string[];
  /** The names of the options, as often and in the order in which they were given. */
  readonly given: readonly string[];
  readonly io: Io;
}

export interface Command<O extends OptionSpecs = OptionSpecs> {
  readonly name: string;
  /** What stands behind the options in the usage line: `IMAGE`, `SOURCE TARGET`. */
  readonly operands: string;
  /** How many operands there must be. */
  readonly count: { readonly least: number; readonly most: number };
  /** The last word is an operand even if it is a number that begins with a minus. */
  readonly negativeLast?: boolean;
  /** A few paragraphs. */
  readonly help: string;
  readonly options: O;
  readonly examples: readonly { readonly line: string; readonly says: string }[];
  /** Beside 0 (done) and 2 (wrong usage). */
  readonly exitCodes: readonly { readonly code: number; readonly means: string }[];
  /** Answers the exit code. */
  run(invocation: Invocation<O>): Promise<number>;
}

/** Lets a command's options give their types to its `run`. */
export function defineCommand<const O extends OptionSpecs>(command: Command<O>): Command<O> {
  return command;
}
