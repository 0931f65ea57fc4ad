/**
 * The one error type of the engine.
 *
 * Every failure that a person may see carries a stable `code` (the interface translates and explains it; the
 * catalogue `resources/messages/<locale>/errors.json` has an entry for each), and a `context` that names what was being looked at: the
 * image, the field, the offset, the option. The English `message` stands for itself in logs and in the terminal.
 */

import type { ErrorContext, PlainError } from '../contract/error.ts';

export type { ErrorContext, PlainError };

/** Thrown by everything in `engine/`. `code` is stable: `area.what`, lower case with dashes, e.g. `qcow2.unknown-feature`. */
export class PlatterError extends Error {
  override readonly name = 'PlatterError';
  readonly code: string;
  readonly context: ErrorContext;

  constructor(code: string, message: string, context: ErrorContext = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.context = context;
  }

  /** The same error with more context; members already set win, since they were nearer to the fault. */
  within(outer: ErrorContext): PlatterError {
    return new PlatterError(this.code, this.message, { ...outer, ...this.context }, this.cause);
  }
}

/** Any thrown value as plain data; what is no PlatterError becomes `internal` and keeps its message. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof PlatterError) {
    return { code: error.code, message: error.message, context: error.context };
  }
  if (error instanceof Error) {
    const errno = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
    return { code: 'internal', message: error.message, context: errno === undefined ? {} : { errno } };
  }
  return { code: 'internal', message: String(error), context: {} };
}
