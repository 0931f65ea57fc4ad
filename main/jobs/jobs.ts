/** The jobs: each in a process of its own, one writer for every file, and a history that outlives the application. */
import { existsSync } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { commandLayers, type CommandLayer } from '#contract/command-images.ts';
import { commandText, jobCommand, type CommandNames } from '#contract/job-command.ts';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import type { JobAgain, JobId, JobLeft, JobProgress, JobRequest, JobRow, JobState } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import { chainPaths } from '../images/chain-paths.ts';
import { newHandle } from '../images/handles.ts';
import type { Passphrases } from '../images/keyring.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import type { Store } from '../store/store.ts';
import { imagesInUse, refuseOthers, refuseTarget, usedBy, type Places } from './admission.ts';
import type { UsedPaths } from './conflicts.ts';
import { filesOf, handlesOf, withHandles } from './files.ts';
import { MOST_KEPT, pastRow, recordOf, type JobHistory } from './history.ts';
import { candidates, removeLeftovers } from './leftovers.ts';
import type { Targets } from './targets.ts';
import { Work, type Outcome } from './work.ts';

/** At a time. */
export const MOST_JOBS = 8;

export interface JobsOptions {
  supervisor: Supervisor;
  store: Store<JobHistory>;
  targets: Targets;
  ask: (handle: ImageHandle, request: GateRequest) => Promise<boolean>;
  images: {
    path(handle: ImageHandle): string;
    info(handle: ImageHandle): ImageInfo | undefined;
    attach(path: string): ImageHandle;
    /** Passphrases of these files, as far as they are known. */
    passphrases(paths: readonly string[]): Passphrases;
    /** The passphrase of a file that is to be attached. */
    keep(path: string, passphrase: string): void;
    files(): { handle: ImageHandle; path: string }[];
    hold(handles: readonly ImageHandle[]): Promise<void>;
    release(handles: readonly ImageHandle[]): Promise<void>;
  };
  /** The images that open labs use, and those that they write to. */
  labs: () => { uses: ImageHandle[]; writes: ImageHandle[] };
  changed: (rows: JobRow[]) => void;
  progress: (id: JobId, progress: JobProgress) => void;
  ended: (row: JobRow) => void;
  /** The history could not be written. */
  trouble: (error: unknown) => void;
}

interface Entry {
  row: JobRow;
  work: Work;
  used: UsedPaths;
  files: Record<string, string>;
  secrets: JobSecrets;
  end: Promise<void>;
}

export class Jobs {
  readonly #options: JobsOptions;
  readonly #running = new Map<JobId, Entry>();
  /** Newest first. */
  #past: JobRow[];
  readonly #places: Places = {
    path: (handle) => this.#path(handle),
    chain: (handle) => this.#chain(handle),
  };

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#past = options.store.value.jobs.map(pastRow);
  }

  /** Whether any job runs. */
  get busy(): boolean {
    return this.#running.size > 0;
  }

  list(): JobRow[] {
    const running = [...this.#running.values()].map(({ row }) => row).toReversed();
    return [...running, ...this.#past];
  }

  /** Starts a job. Throws, without having touched anything, when it cannot begin now. */
  start(request: JobRequest, secrets: JobSecrets = {}): JobId {
    if (this.#running.size >= MOST_JOBS) {
      throw new PlatterError(
        'job.too-many',
        `${MOST_JOBS} jobs are running, which is the most there can be.`,
        {
          expected: `at most ${MOST_JOBS}`,
        },
      );
    }
    const files = Object.fromEntries(handlesOf(request).map((handle) => [handle, this.#path(handle)]));
    const used = usedBy(request, this.#places);
    refuseTarget(request, used, this.#places);
    refuseOthers(used, [this.#labUse()], 'lab');
    refuseOthers(used, this.#jobUse(), 'job');
    const row: JobRow = {
      id: newHandle('job'),
      request,
      names: Object.fromEntries(Object.entries(files).map(([handle, path]) => [handle, basename(path)])),
      state: 'running',
      started: Date.now(),
      command: this.#command(request, (handle) => basename(files[handle])),
    };
    const work = new Work(this.#options.supervisor, row.id, {
      progress: (progress) => {
        row.progress = progress;
        this.#options.progress(row.id, progress);
      },
      silent: (silent) => {
        if ((row.silent ?? false) === silent) return;
        row.silent = silent;
        this.#tell();
      },
      ask: this.#options.ask,
    });
    const entry: Entry = { row, work, used, files, secrets, end: Promise.resolve() };
    this.#running.set(row.id, entry);
    this.#keep(entry);
    this.#tell();
    entry.end = this.#run(entry);
    return row.id;
  }

  /** One that has ended meanwhile stays as it is. */
  cancel(id: JobId): void {
    const entry = this.#running.get(id);
    if (entry === undefined || entry.row.state !== 'running') return;
    entry.row.state = 'cancelling';
    entry.work.cancel();
    this.#tell();
  }

  /** Cancels all of them and waits for their ends. */
  async closeAll(): Promise<void> {
    const entries = [...this.#running.values()];
    for (const { row } of entries) this.cancel(row.id);
    await Promise.all(entries.map(({ end }) => end));
  }

  /** A past job's request with the handles of now: its images are attached again. @throws PlatterError `job.unknown` */
  again(id: JobId): JobAgain {
    const record = this.#options.store.value.jobs.find((job) => job.id === id);
    if (record === undefined) {
      throw new PlatterError('job.unknown', 'This job is not in the history any more.', { value: id });
    }
    const handles = new Map<string, string>();
    let target: JobAgain['target'];
    for (const handle of handlesOf(record.request)) {
      const path = record.files[handle];
      if (path === undefined) continue;
      if (handle.startsWith('dst-')) {
        target = this.#options.targets.give(path);
        handles.set(handle, target.handle);
      } else handles.set(handle, this.#options.images.attach(path));
    }
    const request = withHandles<JobRequest>(record.request, handles);
    return target === undefined ? { request } : { request, target };
  }

  /** Takes past jobs off the history; all of them when none is named. */
  async forget(id?: JobId): Promise<void> {
    const { store } = this.#options;
    this.#past = this.#past.filter((row) => id !== undefined && row.id !== id);
    const jobs = store.value.jobs.filter(
      (job) => this.#running.has(job.id) || (id !== undefined && job.id !== id),
    );
    this.#tell();
    await store.set({ jobs });
  }

  /** The command with whole paths, for a shell. */
  commandText(request: JobRequest): string {
    return this.#command(request, (handle) => this.#path(handle));
  }

  /** Throws when a running job keeps a lab from using these images. */
  admitLab(uses: ImageHandle[], writes: ImageHandle[]): void {
    refuseOthers(imagesInUse(uses, writes, this.#places), this.#jobUse(), 'job');
  }

  async #run(entry: Entry): Promise<void> {
    const { row, work, used, files, secrets } = entry;
    const { images } = this.#options;
    const target = targetOf(row.request, files);
    const before = target === undefined ? [] : candidates(target);
    const replaced = target !== undefined && existsSync(target);
    const held = images
      .files()
      .filter(({ handle }) => this.#chain(handle).some((path) => used.writes.includes(path)))
      .map(({ handle }) => handle);
    await images.hold(held);
    const outcome = await work.run(Object.values(row.names)[0] ?? row.request.kind, {
      request: row.request,
      files: this.#workerFiles(row.request, files),
      secrets,
      passphrases: images.passphrases([...used.writes, ...used.reads]),
    });
    if (target !== undefined && !('result' in outcome)) removeLeftovers(target, before);
    // Before the images open again: whoever waits for the end of the job finds the file attached.
    this.#settle(row, outcome, replaced);
    if (target !== undefined && secrets.target !== undefined) images.keep(target, secrets.target);
    await images.release(held);
    this.#attachNew(row, target);
    this.#running.delete(row.id);
    this.#past.unshift(row);
    this.#past.length = Math.min(this.#past.length, MOST_KEPT);
    this.#keep(entry);
    this.#tell();
    this.#options.ended(row);
  }

  #settle(row: JobRow, outcome: Outcome, replaced: boolean): void {
    row.took = Date.now() - row.started;
    delete row.silent;
    if ('result' in outcome) {
      this.#become(row, 'done');
      row.result = outcome.result;
      return;
    }
    const left = leftBehind(row.request, replaced, outcome.killed);
    if (left !== undefined) row.left = left;
    if ('cancelled' in outcome) this.#become(row, 'cancelled');
    else {
      this.#become(row, 'failed');
      row.error = toPlainError(outcome.error);
    }
  }

  #become(row: JobRow, state: JobState): void {
    row.state = state;
    if (state !== 'done') delete row.progress;
  }

  #attachNew(row: JobRow, target: string | undefined): void {
    const { request, result } = row;
    if (target === undefined || result?.kind !== 'file' || !('attach' in request) || !request.attach) return;
    try {
      row.result = { ...result, attached: this.#options.images.attach(target) };
    } catch (error) {
      // The image is there all the same.
      this.#options.trouble(error);
    }
  }

  #labUse(): UsedPaths {
    const { uses, writes } = this.#options.labs();
    return imagesInUse(uses, writes, this.#places);
  }

  #jobUse(): UsedPaths[] {
    return [...this.#running.values()].map((entry) => entry.used);
  }

  #path(handle: string): string {
    return handle.startsWith('dst-') ? this.#options.targets.path(handle) : this.#options.images.path(handle);
  }

  /** Real paths of an attached image and what it rests on. */
  #chain(handle: ImageHandle): string[] {
    const { images } = this.#options;
    return chainPaths(images.path(handle), images.info(handle));
  }

  #command(request: JobRequest, file: (handle: string) => string): string {
    const names: CommandNames = {
      file,
      reference: (handle, from) => referenceTo(this.#path(handle), this.#path(from)),
      format: (handle) => this.#options.images.info(handle)?.format,
      layers: (handle) => this.#layers(handle, file),
    };
    return commandText(jobCommand(request, names));
  }

  #layers(handle: string, file: (handle: string) => string): CommandLayer[] {
    const paths = this.#chain(handle);
    return commandLayers(this.#options.images.info(handle)).map((layer, depth) => ({
      ...layer,
      file: depth === 0 ? file(handle) : (paths[depth] ?? layer.file),
    }));
  }

  #workerFiles(
    request: JobRequest,
    files: Record<string, string>,
  ): Record<string, { path: string; reference?: string }> {
    const { writes, target } = filesOf(request);
    const written = target ?? writes[0];
    return Object.fromEntries(
      Object.entries(files).map(([handle, path]) => [
        handle,
        written === undefined ? { path } : { path, reference: referenceTo(path, files[written]) },
      ]),
    );
  }

  #keep({ row, files }: Entry): void {
    const { store, trouble } = this.#options;
    const others = store.value.jobs.filter((job) => job.id !== row.id);
    store.set({ jobs: [recordOf(row, files), ...others].slice(0, MOST_KEPT) }).catch(trouble);
  }

  #tell(): void {
    this.#options.changed(this.list());
  }
}

function targetOf(request: JobRequest, files: Record<string, string>): string | undefined {
  const { target } = filesOf(request);
  return target === undefined ? undefined : files[target];
}

/** Relative to the folder of `from` when it lies in it or below, else the whole path. */
function referenceTo(path: string, from: string): string {
  const near = relative(dirname(from), path);
  return near.startsWith('..') || near === '' ? path : near;
}

/** Undefined: nothing was to be written, or the error itself says what became of it. */
function leftBehind(request: JobRequest, replaced: boolean, killed: boolean): JobLeft | undefined {
  const { writes, target } = filesOf(request);
  if (target !== undefined) return replaced ? 'as-before' : 'nothing';
  if (writes.length === 0) return undefined;
  const partial = killed || request.kind === 'commit' || request.kind === 'rebase';
  return partial ? 'unfinished' : undefined;
}
