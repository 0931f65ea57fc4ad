/**
 * The one error type of the engine.
 *
 * Every failure that a person may see carries a stable `code` (the interface translates and explains it; the
 * catalogue `resources/messages/<locale>/errors.json` has an entry for each), and a `context` that names what was being looked at: the
 * image, the field, the offset, the option. The English `message` stands for itself in logs and in the terminal.
 */

/** What was being looked at when it went wrong. Every member is optional; all are shown to the person. */
export interface ErrorContext {
  /** The image's display name (never needed as a path by the renderer). */
  image?: string;
  /** A field of an on-disk or in-memory structure, as the specification names it, e.g. `l1_table_offset`. */
  field?: string;
  /** Byte offset in the file or guest address where the field lies. */
  offset?: number;
  /** A QEMU option or a program's flag, e.g. `format` or `--rw`. */
  option?: string;
  /** The value that was refused, as text. */
  value?: string;
  /** What would have been accepted, as text. */
  expected?: string;
  /** What to do about it, in one sentence. */
  hint?: string;
  /** The operating system's error name, e.g. `ENOENT`. */
  errno?: string;
}

/** An error as it crosses a process border: only plain data. */
export interface PlainError {
  code: string;
  message: string;
  context: ErrorContext;
}

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
