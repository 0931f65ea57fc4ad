/**
 * Worker threads that pack and unpack clusters. Node's own thread pool does as well, but what each request costs in the thread that
 * makes it is as much as the work; here requests go over in batches.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { WORKER_SOURCE } from './worker-source.ts';
import { NATIVE_ZSTD, zstdPath } from './zstd-library.ts';

/** Raw deflate and Zstandard; `argument` is the size of what comes out, for `zstd` the level. */
export type Operation = 'inflate' | 'unzstd' | 'zstd';

/**
 * Requests that go over together, and batches that a worker has before it: one to do, one so that it never waits.
 */
const BATCH = 8;
const AHEAD = 2;
/** Threads take a while to start: few requests are done without. */
const WORTH_IT = 64;

interface Task {
  operation: Operation;
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
  argument: number;
  target: Uint8Array | undefined;
  resolve: (bytes: Uint8Array) => void;
  reject: (error: Error) => void;
}

type Result = { bytes?: Uint8Array; error?: undefined } | { error: string };

const EMPTY = new Uint8Array(0);

class Thread {
  readonly #worker: Worker;
  readonly #batches: Task[][] = [];
  online = false;

  constructor(onFree: () => void, onEnd: (thread: Thread) => void) {
    this.#worker = new Worker(WORKER_SOURCE, { eval: true, workerData: { zstd: zstdPath() } });
    this.#worker.on('online', () => {
      this.online = true;
      onFree();
      // It keeps no program from ending, unless it has something to do.
      if (this.#batches.length === 0) this.#worker.unref();
    });
    this.#worker.on('message', (results: Result[]) => {
      this.#settle(results);
      onFree();
    });
    this.#worker.on('error', (error: Error) => {
      onEnd(this);
      for (const task of this.#batches.splice(0).flat()) task.reject(error);
    });
  }

  get free(): boolean {
    return this.online && this.#batches.length < AHEAD;
  }

  send(batch: Task[]): void {
    this.#batches.push(batch);
    this.#worker.ref();
    this.#worker.postMessage(
      batch.map(({ operation, bytes, length, argument, target }) => ({
        operation,
        bytes,
        length,
        argument,
        target,
      })),
      batch.map(({ bytes }) => bytes.buffer),
    );
  }

  #settle(results: Result[]): void {
    const batch = this.#batches.shift() ?? [];
    if (this.#batches.length === 0) this.#worker.unref();
    batch.forEach((task, index) => {
      const result = results[index];
      if (result.error === undefined) task.resolve(result.bytes ?? task.target ?? EMPTY);
      else task.reject(new Error(result.error));
    });
  }
}

class WorkerPool {
  #threads: Thread[] = [];
  readonly #queue: Task[] = [];
  #requests = 0;
  #scheduled = false;

  /** Whether threads are there. Asking counts: who asks often enough gets them started. */
  get ready(): boolean {
    if (this.#threads.length > 0) return this.#threads.some(({ online }) => online);
    if (++this.#requests >= WORTH_IT) this.#start();
    return false;
  }

  /** The same for Zstandard, for which it is worth waiting until they are there; they may lack the package for it. */
  get readyForZstd(): boolean {
    if (!NATIVE_ZSTD && zstdPath() === undefined) return false;
    if (this.#threads.length === 0) this.#start();
    return true;
  }

  /**
   * Takes `bytes` away, which have their memory for themselves; only the first `length` of them count. What comes out goes to `target` where that is shared memory of the right
   * length, else to memory of its own. Rejects with what the library said.
   */
  run(
    operation: Operation,
    bytes: Uint8Array<ArrayBuffer>,
    argument: number,
    target?: Uint8Array,
    length = bytes.length,
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation, bytes, length, argument, target, resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      // Behind everything else that asks in this turn.
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#distribute();
      });
    });
  }

  #start(): void {
    const count = Math.min(4, Math.max(2, availableParallelism()));
    for (let index = 0; index < count; index++) {
      this.#threads.push(
        new Thread(
          () => this.#distribute(),
          (thread) => this.#drop(thread),
        ),
      );
    }
  }

  #distribute(): void {
    while (this.#queue.length > 0) {
      const thread = this.#threads.find(({ free }) => free);
      if (thread === undefined) return;
      const share = Math.ceil(this.#queue.length / this.#threads.length);
      thread.send(this.#queue.splice(0, Math.min(BATCH, share)));
    }
  }

  /** The others go on; without any, what waits fails, and the next requests start anew. */
  #drop(thread: Thread): void {
    this.#threads = this.#threads.filter((other) => other !== thread);
    if (this.#threads.length > 0) return;
    this.#requests = 0;
    for (const task of this.#queue.splice(0)) task.reject(new Error('the worker threads ended'));
  }
}

export const workers = new WorkerPool();
