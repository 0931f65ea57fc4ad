/**
 * The gate's question to the person: may this file be opened, which an image names? Asked once for each image and file;
 * a yes holds while the image is attached, a no until it is opened again. No answer is a no.
 */
import type { GateQuestion } from '#contract/images.ts';
import type { GateRequest } from '#engine/block/gate.ts';

interface Pending {
  handle: string;
  question: GateQuestion;
  /** Several processes (the image's and a lab's) may wait for one answer. */
  resolve: ((allow: boolean) => void)[];
  timer: ReturnType<typeof setTimeout>;
}

/** Sends to the page; `false` when there is none to ask. */
export interface GateWindow {
  ask(question: GateQuestion): boolean;
  withdraw(id: number): void;
}

/** How long the person may think, milliseconds. */
export const GATE_TIMEOUT_MS = 10 * 60 * 1000;

export class PersonGate {
  readonly #window: GateWindow;
  readonly #pending = new Map<number, Pending>();
  /** By handle: what was allowed. */
  readonly #allowed = new Map<string, Set<string>>();
  #next = 1;

  constructor(window: GateWindow) {
    this.#window = window;
  }

  /** Resolves with the person's answer. @param handle the attached image on whose behalf it is asked */
  ask(handle: string, request: GateRequest): Promise<boolean> {
    if (this.#allowed.get(handle)?.has(keyOf(request)) === true) return Promise.resolve(true);
    const same = [...this.#pending.values()].find(
      (p) => p.handle === handle && keyOf(p.question) === keyOf(request),
    );
    if (same !== undefined) return new Promise((resolve) => same.resolve.push(resolve));
    const id = this.#next++;
    const question: GateQuestion = { id, ...request };
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#withdraw(id), GATE_TIMEOUT_MS);
      this.#pending.set(id, { handle, question, resolve: [resolve], timer });
      if (!this.#window.ask(question)) this.#settle(id, false);
    });
  }

  /** The page's answer. One to a question that was withdrawn counts for nothing. */
  answer(id: number, allow: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    if (allow) {
      const allowed = this.#allowed.get(pending.handle) ?? new Set();
      this.#allowed.set(pending.handle, allowed.add(keyOf(pending.question)));
    }
    this.#settle(id, allow);
  }

  /** The image's process is gone, or starts over: its questions are void. */
  withdraw(handle: string): void {
    for (const [id, pending] of this.#pending) if (pending.handle === handle) this.#withdraw(id);
  }

  /** The image was detached: what was allowed for it is forgotten as well. */
  forget(handle: string): void {
    this.withdraw(handle);
    this.#allowed.delete(handle);
  }

  /** The questions that wait, for a page that has just been loaded. */
  waiting(): GateQuestion[] {
    return [...this.#pending.values()].map((pending) => pending.question);
  }

  /** No page is there to answer any more. */
  denyAll(): void {
    for (const id of this.#pending.keys()) this.#settle(id, false);
  }

  #withdraw(id: number): void {
    this.#settle(id, false);
    this.#window.withdraw(id);
  }

  #settle(id: number, allow: boolean): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    for (const resolve of pending.resolve) resolve(allow);
  }
}

/** One file in one role. The format belongs to it: raw or qcow2 makes another disk of the same file. */
function keyOf({ role, resolved, format }: GateRequest): string {
  return JSON.stringify([role, resolved, format ?? null]);
}
