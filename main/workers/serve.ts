/** The worker's end of the protocol: answers calls and heartbeats, and asks main at the gate. */
import type { JobProgress } from '#contract/jobs.ts';
import type { Gate, GateRequest } from '#engine/block/gate.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import type { Maybe } from '#engine/maybe.ts';
import type { Answer, Args, FromWorker, LabReport, ToWorker } from '../processes/protocol.ts';

/** What a utility process speaks to main through: Electron's `process.parentPort`. */
export interface ParentPort<P> {
  on(event: 'message', listener: (event: { data: ToWorker; ports: P[] }) => void): unknown;
  postMessage(message: FromWorker): void;
}

/** What answers every call; `ports` are the MessagePorts that came with it. */
export type WorkerHandlers<C, P> = {
  [N in keyof C]: (args: Args<C, N>, ports: P[]) => Maybe<Answer<C, N>>;
};

export class Server<C, P> {
  readonly #port: ParentPort<P>;
  readonly #questions = new Map<number, (allow: boolean) => void>();
  #handlers: WorkerHandlers<C, P> | undefined;
  #nextQuestion = 1;

  constructor(port: ParentPort<P>) {
    this.#port = port;
  }

  /** Answers from now on, and tells main that it is there. */
  start(handlers: WorkerHandlers<C, P>): void {
    this.#handlers = handlers;
    this.#port.on('message', ({ data, ports }) => this.#receive(data, ports));
    this.#port.postMessage({ kind: 'ready' });
  }

  /** The gate of what the image `handle` names: main asks the person. */
  gateOf(handle: string): Gate {
    return { allow: (request) => this.#ask(handle, request) };
  }

  progress(progress: JobProgress): void {
    this.#port.postMessage({ kind: 'progress', progress });
  }

  report(report: LabReport): void {
    this.#port.postMessage({ kind: 'report', report });
  }

  #ask(handle: string, request: GateRequest): Promise<boolean> {
    const id = this.#nextQuestion++;
    return new Promise((resolve) => {
      this.#questions.set(id, resolve);
      this.#port.postMessage({ kind: 'ask', id, handle, request });
    });
  }

  #receive(message: ToWorker, ports: P[]): void {
    switch (message.kind) {
      case 'ping':
        this.#port.postMessage({ kind: 'pong' });
        return;
      case 'allow':
        this.#questions.get(message.id)?.(message.allow);
        this.#questions.delete(message.id);
        return;
      case 'call':
        void this.#answer(message.id, message.name, message.args, ports);
    }
  }

  async #answer(id: number, name: string, args: unknown[], ports: P[]): Promise<void> {
    try {
      const handlers = this.#handlers as Record<string, (args: never, ports: P[]) => Maybe<unknown>>;
      if (!Object.hasOwn(handlers, name)) throw new PlatterError('internal', `no call named ${name}`);
      const value = await handlers[name](args as never, ports);
      this.#port.postMessage({ kind: 'result', id, result: { ok: true, value } });
    } catch (error) {
      this.#port.postMessage({ kind: 'result', id, result: { ok: false, error: toPlainError(error) } });
    }
  }
}
