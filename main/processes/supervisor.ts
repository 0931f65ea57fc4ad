/** Starts the utility processes, listens to their heartbeat, and ends them. One that crashes or hangs touches no other. */
import type { ProcessRow } from '#contract/calls.ts';
import type { Spawn } from './port.ts';
import type { CallsOf, WorkerKind } from './protocol.ts';
import { Worker, type WorkerEvents } from './worker.ts';

/** Between two heartbeats, milliseconds. */
export const HEARTBEAT_MS = 1000;

const MIB = 1024 * 1024;

/**
 * The most memory that a process may hold, bytes: enough for a sound image's tables and for a machine with its trace, an end for
 * what a hostile image asks for. V8's own limits do not hold in a utility process (`execArgv` changes nothing there) and
 * know nothing of typed arrays; so main looks.
 */
export const MOST_MEMORY: Readonly<Record<WorkerKind, number>> = {
  image: 1024 * MIB,
  lab: 4096 * MIB,
  job: 2048 * MIB,
};

interface Entry {
  kind: WorkerKind;
  id: string;
  worker: Worker<CallsOf<WorkerKind>>;
}

export class Supervisor {
  readonly #spawn: Spawn;
  readonly #memory: () => ReadonlyMap<number, number>;
  readonly #changed: (rows: ProcessRow[]) => void;
  /** In the order in which they were started; by handle or lab id. */
  readonly #entries = new Map<string, Entry>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param memory bytes that processes hold, by process id
   * @param changed told after every change of a state, with all processes that are there
   */
  constructor(
    spawn: Spawn,
    memory: () => ReadonlyMap<number, number>,
    changed: (rows: ProcessRow[]) => void,
  ) {
    this.#spawn = spawn;
    this.#memory = memory;
    this.#changed = changed;
  }

  /**
   * Starts a process for `id`; one that it had before is ended.
   * @param id the handle or lab id
   * @param name what the person calls it: the image's base name, the lab's device
   */
  start<K extends WorkerKind>(kind: K, id: string, name: string, events: WorkerEvents): Worker<CallsOf<K>> {
    void this.#entries.get(id)?.worker.end();
    const port = this.#spawn(kind, `platter-${kind} ${id}`);
    const worker = new Worker<CallsOf<K>>(name, port, {
      ...events,
      state: (state) => {
        if (this.#entries.get(id)?.worker === worker) {
          if (state === 'ended') this.#entries.delete(id);
          this.#tell();
        }
        events.state(state);
      },
    });
    this.#entries.set(id, { kind, id, worker });
    this.#timer ??= setInterval(() => this.#beat(), HEARTBEAT_MS);
    this.#tell();
    return worker;
  }

  /** Takes a process off the list, alive or crashed. Resolves when it is gone. */
  async end(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const gone = entry.worker.end();
    if (this.#entries.delete(id)) this.#tell();
    await gone;
  }

  /** Ends all of them and stops the heartbeat. */
  async endAll(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await Promise.all([...this.#entries.keys()].map((id) => this.end(id)));
  }

  rows(): ProcessRow[] {
    return [...this.#entries.values()].map(({ kind, id, worker }) => ({
      kind,
      id,
      name: worker.name,
      state: worker.state,
    }));
  }

  #beat(): void {
    const memory = this.#memory();
    for (const { kind, worker } of this.#entries.values()) {
      const held = memory.get(worker.pid ?? -1) ?? 0;
      if (held > MOST_MEMORY[kind]) worker.endGreedy(held, MOST_MEMORY[kind]);
      else worker.beat();
    }
  }

  #tell(): void {
    this.#changed(this.rows());
  }
}
