/** An error as the person at the terminal reads it: which file, which field, offset or option, and what to do. */
import { PlatterError, type ErrorContext } from '#engine/errors.ts';
import type { Io } from './io.ts';
import { OutputClosed } from './output-closed.ts';
import { UsageError } from './usage-error.ts';

/** What to do about errors whose remedy is one of our own options. */
const REMEDIES: Record<string, string> = {
  'gate.denied': 'Say --follow if you trust this image and what it names.',
  'gate.not-asked': 'Say --follow if you trust this image and what it names.',
};

/**
 * Says what went wrong and answers exit code 1. What is no failure of the work goes on to `main`: wrong usage, and a reader of the
 * output that went away.
 * @param path the file as it was named on the command line
 */
export function failed(io: Io, error: unknown, path?: string): number {
  if (error instanceof OutputClosed || error instanceof UsageError) throw error;
  io.err(failureText(error, path));
  return 1;
}

/**
 * One line that says what is wrong, and a second one that says what to do where that is known.
 * @param path the file as it was named on the command line
 */
export function failureText(error: unknown, path?: string): string {
  if (!(error instanceof PlatterError)) {
    return `platter: ${path === undefined ? '' : `${path}: `}${error instanceof Error ? error.message : String(error)}\n`;
  }
  const { context, message } = error;
  const file = path ?? context.image;
  const named = file === undefined || namesFile(message, file) ? '' : `${file}: `;
  const hint = REMEDIES[error.code] ?? context.hint;
  return `platter: ${named}${message}${missingDetails(message, context)}\n${hint === undefined ? '' : `  ${hint}\n`}`;
}

/** Whether the file's name stands in the message as a word of its own. */
function namesFile(message: string, file: string): boolean {
  const at = message.indexOf(file);
  const isPart = (character: string | undefined): boolean =>
    character !== undefined && /[\w./-]/.test(character);
  return at !== -1 && !isPart(message[at - 1]) && !isPart(message[at + file.length]);
}

/** What the context knows and the message does not say. */
function missingDetails(message: string, context: ErrorContext): string {
  const details: string[] = [];
  if (context.field !== undefined && !message.includes(context.field)) details.push(`field ${context.field}`);
  if (context.offset !== undefined && !message.includes(String(context.offset)))
    details.push(`offset ${context.offset}`);
  if (context.option !== undefined && !message.includes(context.option))
    details.push(`option ${context.option}`);
  return details.length === 0 ? '' : ` (${details.join(', ')})`;
}
