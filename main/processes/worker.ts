/**
 * One utility process from main's side: its calls, its state, its end. A call never outlives its process: when that ends,
 * however it ends, every open call is rejected.
 */
import type { ProcessState } from '#contract/images.ts';
import type { JobProgress } from '#contract/jobs.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { PlatterError } from '#engine/errors.ts';
import type { WorkerPort } from './port.ts';
import type { Answer, Args, FromWorker, LabReport } from './protocol.ts';

export interface WorkerEvents {
  /** The state changed, once for every change. */
  state(state: ProcessState): void;
  /** May this file be opened, which the image names? */
  ask(handle: string, request: GateRequest): Promise<boolean>;
  report?(report: LabReport): void;
  progress?(progress: JobProgress): void;
}

interface OpenCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Heartbeats without an answer before a process counts as hung; while it loads its code it has longer. */
export const MISSED_BEATS = 5;
export const MISSED_BEATS_STARTING = 30;

export class Worker<C> {
  readonly name: string;
  readonly #port: WorkerPort;
  readonly #events: WorkerEvents;
  readonly #open = new Map<number, OpenCall>();
  #state: ProcessState = 'starting';
  #nextCall = 1;
  #missed = 0;
  #endReason: PlatterError | undefined;
  readonly #exited: Promise<void>;

  constructor(name: string, port: WorkerPort, events: WorkerEvents) {
    this.name = name;
    this.#port = port;
    this.#events = events;
    port.onMessage((message) => this.#receive(message));
    this.#exited = new Promise((resolve) => {
      port.onExit((reason) => {
        this.#ended(reason);
        resolve();
      });
    });
  }

  get state(): ProcessState {
    return this.#state;
  }

  get alive(): boolean {
    return this.#state !== 'crashed' && this.#state !== 'ended';
  }

  get pid(): number | undefined {
    return this.#port.pid();
  }

  /** Why nothing can be asked of it: crashed, hung or ended; undefined while all is well. */
  get trouble(): PlatterError | undefined {
    if (this.#state === 'hung') return hung(this.name);
    return this.#endReason;
  }

  /** Asks the process. Rejects with what it answered, or with `process.crashed` or `process.ended` when it is gone. */
  call<N extends keyof C & string>(name: N, args: Args<C, N>, ports: unknown[] = []): Promise<Answer<C, N>> {
    if (!this.alive) return Promise.reject(this.#endReason ?? ended(this.name));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#port.post({ kind: 'call', id, name, args }, ports);
    });
  }

  /** One heartbeat: counts the one before as missed unless something came in since. */
  beat(): void {
    if (!this.alive) return;
    const most = this.#state === 'starting' ? MISSED_BEATS_STARTING : MISSED_BEATS;
    if (this.#missed >= most) this.#become('hung');
    this.#missed++;
    if (this.#missed === 1) this.#port.post({ kind: 'ping' });
  }

  /** Kills a process that holds more memory than it may; shown like a crash. @param held bytes @param most bytes */
  endGreedy(held: number, most: number): void {
    if (!this.alive) return;
    this.#finish('crashed', greedy(this.name, held, most));
    this.#port.kill();
  }

  /** Kills the process. Open calls are rejected with `process.ended`. Resolves when it is gone. */
  end(): Promise<void> {
    if (this.alive) {
      this.#finish('ended', ended(this.name));
      this.#port.kill();
    }
    return this.#exited;
  }

  #receive(message: FromWorker): void {
    if (!this.alive) return;
    this.#missed = 0;
    if (this.#state !== 'running') this.#become('running');
    switch (message.kind) {
      case 'result': {
        const call = this.#open.get(message.id);
        this.#open.delete(message.id);
        if (message.result.ok) call?.resolve(message.result.value);
        else {
          const { code, message: text, context } = message.result.error;
          call?.reject(new PlatterError(code, text, context));
        }
        return;
      }
      case 'ask':
        void this.#ask(message.id, message.handle, message.request);
        return;
      case 'report':
        this.#events.report?.(message.report);
        return;
      case 'progress':
        this.#events.progress?.(message.progress);
        return;
      case 'ready':
      case 'pong':
    }
  }

  async #ask(id: number, handle: string, request: GateRequest): Promise<void> {
    let allow = false;
    try {
      allow = await this.#events.ask(handle, request);
    } catch {
      // A gate that fails denies.
    }
    if (this.alive) this.#port.post({ kind: 'allow', id, allow });
  }

  #ended(reason: string): void {
    if (this.alive) this.#finish('crashed', crashed(this.name, reason));
  }

  #finish(state: 'crashed' | 'ended', error: PlatterError): void {
    this.#endReason = error;
    const open = [...this.#open.values()];
    this.#open.clear();
    // The state first: what follows from a rejection may run inside the telling of it, and would be told before it.
    this.#become(state);
    for (const call of open) call.reject(error);
  }

  #become(state: ProcessState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#events.state(state);
  }
}

function crashed(name: string, reason: string): PlatterError {
  return new PlatterError(
    'process.crashed',
    `The process that worked on ${name} ended unexpectedly (${reason}). Nothing else is affected; open it again to go on.`,
    { image: name, value: reason },
  );
}

function greedy(name: string, held: number, most: number): PlatterError {
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 1048576)} MiB`;
  return new PlatterError(
    'process.too-much-memory',
    `The process that worked on ${name} held ${mebibytes(held)} of memory and was ended; ${mebibytes(most)} are allowed. Nothing else is affected.`,
    { image: name, value: mebibytes(held), expected: mebibytes(most) },
  );
}

function hung(name: string): PlatterError {
  return new PlatterError(
    'process.hung',
    `The process that works on ${name} has not answered for ${MISSED_BEATS} seconds. Wait, or open it again to start over.`,
    { image: name },
  );
}

/** Whatever was asked of it. */
export function ended(name: string): PlatterError {
  return new PlatterError('process.ended', `${name} was closed before the answer came.`, { image: name });
}
