/** An error as it crosses a process border: only plain data. `engine/errors.ts` makes them. */

/** What was being looked at when it went wrong. Every member is optional; all are shown to the person. */
export interface ErrorContext {
  /** The image's display name. */
  image?: string;
  /** A field of an on-disk or in-memory structure, as the specification names it, e.g. `l1_table_offset`. */
  field?: string;
  /** Byte offset in the file, guest address, or character offset in a text, where the fault lies. */
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

export interface PlainError {
  /** Stable: `area.what`; the catalogue `resources/messages/<locale>/errors.json` has a text for each. */
  code: string;
  /** English, complete in itself. */
  message: string;
  context: ErrorContext;
}

/** What every call answers: errors travel as data, because Electron's own error serialisation keeps only the message. */
export type Result<T> = { ok: true; value: T } | { ok: false; error: PlainError };
