/**
 * The gate's question to the person: may this file be opened, which an image names? Asked once for each image and file;
 * a yes holds while the image is attached, a no until it is opened again. No answer is a no.
 */
import { dirname } from 'node:path';
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
  /** By handle: folders of which whatever the image and its chain name is allowed. */
  readonly #folders = new Map<string, Set<string>>();
  #next = 1;

  constructor(window: GateWindow) {
    this.#window = window;
  }

  /** Resolves with the person's answer. @param handle the attached image on whose behalf it is asked */
  ask(handle: string, request: GateRequest): Promise<boolean> {
    if (this.#isAllowed(handle, request)) return Promise.resolve(true);
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

  /**
   * The page's answer. One to a question that was withdrawn counts for nothing.
   * @param folder a yes holds for all files of the same folder that this image or its chain names
   */
  answer(id: number, allow: boolean, folder = false): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    const { handle, question } = pending;
    if (allow) add(this.#allowed, handle, keyOf(question));
    if (allow && folder) add(this.#folders, handle, dirname(question.resolved));
    this.#settle(id, allow);
    for (const [other, waiting] of this.#pending) {
      if (waiting.handle !== handle || !this.#isAllowed(handle, waiting.question)) continue;
      this.#settle(other, true);
      this.#window.withdraw(other);
    }
  }

  /** The image's process is gone, or starts over: its questions are void. */
  withdraw(handle: string): void {
    for (const [id, pending] of this.#pending) if (pending.handle === handle) this.#withdraw(id);
  }

  /** The image was detached: what was allowed for it is forgotten as well. */
  forget(handle: string): void {
    this.withdraw(handle);
    this.#allowed.delete(handle);
    this.#folders.delete(handle);
  }

  /** The questions that wait, for a page that has just been loaded. */
  waiting(): GateQuestion[] {
    return [...this.#pending.values()].map((pending) => pending.question);
  }

  /** No page is there to answer any more. */
  denyAll(): void {
    for (const id of this.#pending.keys()) this.#settle(id, false);
  }

  #isAllowed(handle: string, request: GateRequest): boolean {
    return (
      this.#allowed.get(handle)?.has(keyOf(request)) === true ||
      // `resolved` is a real path: no link leads out of the folder.
      this.#folders.get(handle)?.has(dirname(request.resolved)) === true
    );
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

function add(to: Map<string, Set<string>>, handle: string, what: string): void {
  to.set(handle, (to.get(handle) ?? new Set()).add(what));
}

/** One file in one role. The format belongs to it: raw or qcow2 makes another disk of the same file. */
function keyOf({ role, resolved, format }: GateRequest): string {
  return JSON.stringify([role, resolved, format ?? null]);
}
