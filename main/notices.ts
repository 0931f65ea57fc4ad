/** Things the person should know that belong to no call: kept until the page asks for them, sent at once after that. */
import type { Notice } from '#contract/calls.ts';
import { toPlainError } from '#engine/errors.ts';

export class Notices {
  readonly #send: (notice: Notice) => void;
  #waiting: Notice[] | null = [];

  /** @param send called for every notice after the first `take` */
  constructor(send: (notice: Notice) => void) {
    this.#send = send;
  }

  add(key: string, params: Record<string, string> = {}): void {
    this.#add({ key, params });
  }

  /** Something went wrong that nobody waited for. */
  addError(error: unknown): void {
    this.#add({ key: 'error', params: {}, error: toPlainError(error) });
  }

  /** What came up before the page was there; from now on notices are sent. */
  take(): Notice[] {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    return waiting;
  }

  #add(notice: Notice): void {
    if (this.#waiting === null) this.#send(notice);
    else this.#waiting.push(notice);
  }
}
