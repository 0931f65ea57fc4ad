/** Options as text: `key=value` lists, quoted for a shell. */
import { escapeValue, shellQuote } from '../edit.ts';
import type { CommandLine, Option } from '../model.ts';

export type Pair = readonly [key: string, value: string];

/** `driver,key=value,…` as one shell word. `implied` is written without its key when it comes first. */
export function writeList(pairs: readonly Pair[], implied?: string): string {
  const parts = pairs.map(([key, value], index) =>
    index === 0 && key === implied && !value.includes('=')
      ? escapeValue(value)
      : `${key}=${escapeValue(value)}`,
  );
  return shellQuote(parts.join(','));
}

/** `-name list`. */
export function writeOption(name: string, pairs: readonly Pair[], implied?: string): string {
  return `-${name} ${writeList(pairs, implied)}`;
}

/** The option as it stands in the text, its quoting included. */
export function optionText(line: CommandLine, option: Option): string {
  return line.text.slice(option.span.start, option.span.end);
}
