/** The running labs: each in a process of its own, with a MessagePort from there to the page. */
import { basename } from 'node:path';
import type { ImageHandle } from '#contract/images.ts';
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import type { Fault, TrayMove } from '#contract/lab-host.ts';
import type { LabConfig, LabId, LabStatus, StepKind } from '#contract/lab.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import { newHandle } from '../images/handles.ts';
import type { Passphrases } from '../images/keyring.ts';
import type { LabCalls, LabReport } from '../processes/protocol.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import type { Worker } from '../processes/worker.ts';

/** Each has a machine's memory and a trace. */
export const MOST_LABS = 4;

/** How long a lab may take to finish its requests and flush its images when it is closed, milliseconds. */
const CLOSE_MS = 5000;

export interface LabsOptions {
  supervisor: Supervisor;
  ask: (handle: ImageHandle, request: GateRequest) => Promise<boolean>;
  /** The path behind a handle; throws for one that is not attached. */
  path: (handle: ImageHandle) => string;
  /** What an attached image opens with, when it is encrypted. */
  passphrases: (handle: ImageHandle) => Passphrases;
  /** Makes a channel, gives one end to the page under the lab's id and answers the other for the process. */
  connect: (id: LabId) => unknown;
  changed: (status: LabStatus) => void;
  /** Throws when something else keeps a lab from using one of these images, or from writing to one of `writes`. */
  admit: (uses: ImageHandle[], writes: ImageHandle[]) => void;
  /** A lab that could write to these images has ended. */
  written: (handles: ImageHandle[]) => void;
}

interface Entry {
  worker: Worker<LabCalls>;
  report: LabReport;
  /** Images that it uses, and those of them that it may write to. */
  uses: ImageHandle[];
  writes: ImageHandle[];
}

export class Labs {
  readonly #options: LabsOptions;
  readonly #entries = new Map<LabId, Entry>();
  readonly #closing = new Map<LabId, Promise<void>>();

  constructor(options: LabsOptions) {
    this.#options = options;
  }

  /** Starts a process and builds the machine in it. A line or an image that does not do rejects, and leaves no process. */
  async create(config: LabConfig): Promise<LabStatus> {
    if (this.#entries.size >= MOST_LABS) {
      throw new PlatterError('lab.too-many', `${MOST_LABS} labs are open, which is the most there can be.`, {
        expected: `at most ${MOST_LABS}`,
        hint: 'Close one first.',
      });
    }
    const handles = [...new Set(config.bindings.map((binding) => binding.image))];
    const files = handles.map((handle) => ({ handle, path: this.#options.path(handle) }));
    const passphrases = Object.assign(
      {},
      ...handles.map((handle) => this.#options.passphrases(handle)),
    ) as Passphrases;
    const writes = handles.filter((handle) => writesTo(config, handle));
    this.#refuseSharedWrites(config, handles, writes);
    this.#options.admit(handles, writes);

    const id = newHandle('lab');
    const worker = this.#options.supervisor.start('lab', id, config.deviceId ?? 'lab', {
      state: () => this.#tell(id),
      ask: this.#options.ask,
      report: (report) => {
        const entry = this.#entries.get(id);
        if (entry === undefined) return;
        entry.report = report;
        this.#tell(id);
      },
    });
    this.#entries.set(id, { worker, report: { state: 'building' }, uses: handles, writes });
    try {
      const port = this.#options.connect(id);
      const report = await worker.call('create', [{ config, files, passphrases }], [port]);
      const entry = this.#entries.get(id);
      if (entry?.report.state === 'building') entry.report = report;
      return this.#status(id);
    } catch (error) {
      this.#entries.delete(id);
      await this.#options.supervisor.end(id);
      throw error;
    }
  }

  /** The images that open labs use, and those that they may write to. */
  uses(): { uses: ImageHandle[]; writes: ImageHandle[] } {
    const entries = [...this.#entries.values()];
    return {
      uses: entries.flatMap((entry) => entry.uses),
      writes: entries.flatMap((entry) => entry.writes),
    };
  }

  async run(id: LabId): Promise<null> {
    return this.#worker(id).call('run', []);
  }

  async pause(id: LabId): Promise<null> {
    return this.#worker(id).call('pause', []);
  }

  async step(id: LabId, kind: StepKind): Promise<null> {
    return this.#worker(id).call('step', [kind]);
  }

  async speed(id: LabId, eventsPerSecond: number | null): Promise<null> {
    return this.#worker(id).call('speed', [eventsPerSecond]);
  }

  async attacks(id: LabId, disk: number): Promise<AttackInfo[]> {
    return this.#worker(id).call('attacks', [disk]);
  }

  async attack(id: LabId, attack: string, disk: number): Promise<AttackResult> {
    return this.#worker(id).call('attack', [attack, disk]);
  }

  async fault(id: LabId, fault: Fault | null, disk: number): Promise<null> {
    return this.#worker(id).call('fault', [fault, disk]);
  }

  async moveTray(id: LabId, move: TrayMove, force: boolean, disk: number): Promise<null> {
    return this.#worker(id).call('moveTray', [move, force, disk]);
  }

  /** The image counts as used until the lab is closed. */
  async insert(id: LabId, image: ImageHandle, force: boolean, disk: number): Promise<null> {
    const worker = this.#worker(id);
    const { path, passphrases } = this.#options;
    const file = { handle: image, path: path(image) };
    if (this.uses().writes.includes(image)) throw inUse(file.path);
    this.#options.admit([image], []);
    this.#entries.get(id)?.uses.push(image);
    return worker.call('insert', [file, passphrases(image), force, disk]);
  }

  async saveTrace(id: LabId, path: string): Promise<null> {
    return this.#worker(id).call('saveTrace', [path]);
  }

  /** Lets requests finish, flushes and closes the images, ends the process. A lab that is gone is closed already. */
  async close(id: LabId): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return this.#closing.get(id);
    this.#entries.delete(id);
    const closing = this.#end(id, entry).finally(() => this.#closing.delete(id));
    this.#closing.set(id, closing);
    await closing;
  }

  /** Also waits for those that are on their way: the window's end closes them, and the application's end must not overtake it. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#entries.keys(), ...this.#closing.keys()].map((id) => this.close(id)));
  }

  async #end(id: LabId, entry: Entry): Promise<void> {
    // Whatever goes wrong here was shown when it happened; the process is ended in any case.
    await Promise.race([entry.worker.call('close', []).catch(() => undefined), wait(CLOSE_MS)]);
    await this.#options.supervisor.end(id);
    if (entry.writes.length > 0) this.#options.written(entry.writes);
  }

  /** Two writers of one file destroy it; a writer beside a reader shows the reader nonsense. */
  #refuseSharedWrites(config: LabConfig, handles: ImageHandle[], writes: ImageHandle[]): void {
    const count = (handle: ImageHandle): number =>
      config.bindings.filter((binding) => binding.image === handle).length;
    const elsewhere = new Set([...this.#entries.values()].flatMap((entry) => entry.writes));
    const taken =
      handles.find((handle) => elsewhere.has(handle)) ?? writes.find((handle) => count(handle) > 1);
    if (taken === undefined) return;
    throw inUse(this.#options.path(taken));
  }

  #worker(id: LabId): Worker<LabCalls> {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new PlatterError('lab.unknown', 'This lab is not running any more. Run it again.', { value: id });
    }
    return entry.worker;
  }

  #status(id: LabId): LabStatus {
    const { worker, report } = this.#entries.get(id) as Entry;
    const { trouble, state: process } = worker;
    const error = trouble === undefined ? report.error : toPlainError(trouble);
    const state = process === 'crashed' ? 'failed' : report.state;
    return { id, process, state, device: report.device, ...(error === undefined ? {} : { error }) };
  }

  #tell(id: LabId): void {
    if (this.#entries.has(id)) this.#options.changed(this.#status(id));
  }
}

function inUse(path: string): PlatterError {
  const image = basename(path);
  return new PlatterError(
    'lab.image-in-use',
    `${image} is bound for writing and used a second time. QEMU would refuse to lock it.`,
    { image, hint: 'Close the other lab, or bind one of them as overlay.' },
  );
}

function writesTo(config: LabConfig, handle: ImageHandle): boolean {
  return config.bindings.some((binding) => binding.image === handle && binding.mode === 'write');
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
