/** What a command may do with the outside world beside files: tests give it another one. */
export interface Io {
  /** Results: standard output. */
  out(text: string): void;
  /** Everything else: standard error. */
  err(text: string): void;
  /** All of standard input, at most `limit` bytes; throws `cli.input-too-large` past that. */
  input(limit: number): Promise<string>;
  /** Whether standard error is a terminal: progress is drawn only there. */
  readonly terminal: boolean;
}
