/** The list of what the trial changes, for the person to read. */
import type { TryChange } from '#contract/try.ts';
import type { Option, Span } from '../model.ts';

const MOST = 300;
const LENGTH = 120;

export function shorten(text: string): string {
  return text.length > LENGTH ? `${text.slice(0, LENGTH - 1)}…` : text;
}

/** How an option is shown: `-drive file=…`. */
export function optionText(option: Option): string {
  return shorten(option.argument === undefined ? `-${option.name}` : `-${option.name} ${option.argument}`);
}

export class Changes {
  readonly list: TryChange[] = [];

  add(
    span: Span | undefined,
    was: string,
    reason: string,
    became?: string,
    params: Record<string, string> = {},
  ): void {
    if (this.list.length >= MOST) return;
    this.list.push({
      ...(span === undefined ? {} : { span: { start: span.start, end: span.end } }),
      was: shorten(was),
      ...(became === undefined ? {} : { became: shorten(became) }),
      reason,
      params,
    });
  }
}
