/** One running job: its process, its end, and what is told of both. */
import type { JobProgress, JobRequest, JobResult } from '#contract/jobs.ts';
import type { ProcessState } from '#contract/images.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { PlatterError } from '#engine/errors.ts';
import type { JobBuild, JobCalls } from '../processes/protocol.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import type { Worker } from '../processes/worker.ts';

/** How long a job may take to stop by itself once it is cancelled, milliseconds. */
export const CANCEL_MS = 5000;
/** How long its process may be silent, milliseconds: making a large file durable on a slow disk takes minutes. */
export const SILENT_MS = 10 * 60 * 1000;

export interface WorkEvents {
  progress(progress: JobProgress): void;
  /** Its process has not answered for a few seconds, or answers again. */
  silent(silent: boolean): void;
  ask(handle: string, request: GateRequest): Promise<boolean>;
}

/** How it ended. `killed`: the process was ended in the middle of it. */
export type Outcome =
  { result: JobResult } | { error: PlatterError; killed: boolean } | { cancelled: true; killed: boolean };

function jobError(thrown: unknown, image: string): PlatterError {
  if (!(thrown instanceof PlatterError)) return new PlatterError('internal', String(thrown));
  if (thrown.code !== 'process.crashed') return thrown;
  const { value } = thrown.context;
  return new PlatterError(
    'job.crashed',
    `The process of this job on ${image} ended unexpectedly (${value}). Nothing else is affected.`,
    { image, value },
  );
}

export class Work {
  readonly #supervisor: Supervisor;
  readonly #id: string;
  readonly #events: WorkEvents;
  #worker: Worker<JobCalls> | undefined;
  #cancelled = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hung: PlatterError | undefined;

  constructor(supervisor: Supervisor, id: string, events: WorkEvents) {
    this.#supervisor = supervisor;
    this.#id = id;
    this.#events = events;
  }

  /** Starts the process and waits for the end, whatever it is. Never rejects. */
  async run(name: string, build: JobBuild): Promise<Outcome> {
    if (this.#cancelled) return { cancelled: true, killed: false };
    const worker = this.#supervisor.start('job', this.#id, name, {
      state: (state) => this.#state(state, build.request),
      ask: (handle, request) => this.#events.ask(handle, request),
      progress: (progress) => this.#events.progress(progress),
    });
    this.#worker = worker;
    try {
      return { result: await worker.call('run', [build]) };
    } catch (thrown) {
      const killed = !worker.alive;
      const error = this.#hung ?? jobError(thrown, name);
      // What goes wrong after a cancel, the end of the process included, comes of it.
      if (this.#cancelled && (killed || error.code === 'job.cancelled')) return { cancelled: true, killed };
      return { error, killed };
    } finally {
      clearTimeout(this.#timer);
      await this.#supervisor.end(this.#id);
    }
  }

  /** Asks it to stop; after a while its process is ended. */
  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.call('cancel', []).catch(() => undefined);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void worker.end(), CANCEL_MS);
  }

  #state(state: ProcessState, request: JobRequest): void {
    if (state === 'hung') {
      this.#events.silent(true);
      if (this.#cancelled) return;
      this.#timer = setTimeout(() => {
        this.#hung = new PlatterError(
          'job.hung',
          `The process of the job "${request.kind}" did not answer for ${SILENT_MS / 60000} minutes and was ended.`,
          { value: request.kind },
        );
        void this.#worker?.end();
      }, SILENT_MS);
    } else if (state === 'running') {
      this.#events.silent(false);
      if (!this.#cancelled) clearTimeout(this.#timer);
    }
  }
}
