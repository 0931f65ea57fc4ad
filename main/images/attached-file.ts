/** One attached file: its process while it has one, what that said about it, and how it comes to rest and back. */
import { basename } from 'node:path';
import type { AttachedImage, ImageHandle, ImageInfo, ImageProcess, StaleReason } from '#contract/images.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { realPath } from '#engine/block/references.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import type { ImageCalls } from '../processes/protocol.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import { ended, type Worker } from '../processes/worker.ts';
import { chainPaths } from './chain-paths.ts';
import { lockedPaths, type Keyring, type Passphrases } from './keyring.ts';
import type { Seat, Seats } from './seats.ts';
import { staleSince, stampOf, type Stamp } from './stamp.ts';

/** The gate: `ask` the person; `withdraw` when the process is gone; `forget` when the image is detached. */
export interface ImageGate {
  ask(handle: string, request: GateRequest): Promise<boolean>;
  withdraw(handle: string): void;
  forget(handle: string): void;
}

/** What all attached files share. */
export interface Surroundings {
  supervisor: Supervisor;
  gate: ImageGate;
  seats: Seats;
  keyring: Keyring;
  /** Told after every change of what `row` shows. */
  changed: () => void;
}

/** From the wish for a process to its end. */
interface Run {
  seat: Seat;
  worker?: Worker<ImageCalls>;
  /** It was open before and rested: nothing of it is new on the screen, and the person is not asked again. */
  wakes: boolean;
  done?: Promise<ImageInfo>;
}

export class AttachedFile {
  readonly handle: ImageHandle;
  readonly path: string;
  /** Real paths of it and of what it rests on, as of its last opening. */
  chain: string[] | undefined;
  readonly #around: Surroundings;
  #run: Run | undefined;
  #info: ImageInfo | undefined;
  #error: PlatterError | undefined;
  /** What a job on it has made out of date, shown until it is open again. */
  #before: ImageInfo | undefined;
  /** While a job writes to it: what is said to whoever wants to read it. */
  #held: PlatterError | undefined;
  /** What the person said no to since it was opened. */
  readonly #refused = new Set<string>();
  /** How often it was opened, not counting what rested and found its file as it was. */
  #opening = 0;
  #stamp: Stamp | undefined;
  #stale: StaleReason | undefined;

  constructor(handle: ImageHandle, path: string, around: Surroundings) {
    this.handle = handle;
    this.path = path;
    this.#around = around;
  }

  get name(): string {
    return basename(this.path);
  }

  /** What it said of itself when it was last open. */
  get info(): ImageInfo | undefined {
    return this.#info ?? this.#before;
  }

  /** The files of its chain that are locked, as far as it is open. */
  get locked(): string[] {
    return lockedPaths(this.chain ?? [], this.#info);
  }

  /** Its place in the queue or among the processes, while it has one. */
  get seat(): Seat | undefined {
    return this.#run?.seat;
  }

  /** Starts over with a new process, when its turn comes. Rejects with the reason when it does not open. @param first before all that wait */
  open(first: boolean): Promise<ImageInfo> {
    this.#around.gate.withdraw(this.handle);
    if (this.#held !== undefined) return Promise.reject(this.#held);
    this.#refused.clear();
    this.#info = undefined;
    return this.#start(false, first);
  }

  /**
   * Its process, which stays until `release` is called; one that rests is opened again. Rejects with the reason when it is not open.
   */
  async use(): Promise<{ worker: Worker<ImageCalls>; release: () => void }> {
    if (this.#held !== undefined) throw this.#held;
    if (this.#error !== undefined) throw this.#error;
    if (this.#info === undefined) throw this.#run?.worker?.trouble ?? this.#notOpen();
    if (this.#run === undefined) this.#start(true, true).catch(() => undefined);
    const run = this.#run;
    if (run === undefined) throw this.#notOpen();
    const release = run.seat.use();
    try {
      if (run.wakes) await run.done;
      if (run.worker === undefined) throw this.#notOpen();
      return { worker: run.worker, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Opens it with a passphrase more. Rejects with `luks.wrong-passphrase`; it is then as before. */
  async unlock(passphrases: Passphrases): Promise<ImageInfo> {
    const { worker, release } = await this.use();
    try {
      const info = await worker.call('unlock', [passphrases]);
      this.#opened(worker, info);
      return info;
    } finally {
      release();
    }
  }

  /** Closes it while something else writes to its file. Resolves when its process is gone. */
  async hold(): Promise<void> {
    this.#held = new PlatterError('image.busy', `A job is changing ${this.name}.`, { image: this.name });
    this.#before = this.info;
    await this.#leave();
  }

  /** Opens it again. Resolves when that has succeeded or not. */
  async letGo(): Promise<void> {
    this.#held = undefined;
    await this.open(false).catch(() => undefined);
  }

  /** It is detached. */
  async end(): Promise<void> {
    const gone = this.#leave();
    this.#run = undefined;
    this.#around.gate.forget(this.handle);
    await gone;
  }

  /** Looks whether its file is still the one that was opened. @param written by a lab of ours, which says so itself */
  async lookAgain(written: boolean): Promise<void> {
    const [stamp, info] = [this.#stamp, this.#info];
    if (stamp === undefined || info === undefined || this.#held !== undefined) return;
    const reason = await staleSince(stamp, this.path);
    if (this.#stamp !== stamp) return;
    const known = written || (info.writers?.length ?? 0) > 0;
    const stale = reason === 'changed' && known ? undefined : reason;
    if (stale === this.#stale) return;
    this.#stale = stale;
    this.#around.changed();
  }

  /** @param restsOn other attached images, the nearest first */
  row(where: string, restsOn: ImageHandle[]): AttachedImage {
    const busy = this.#held !== undefined;
    const trouble = busy ? undefined : (this.#error ?? this.#run?.worker?.trouble);
    const shown = trouble === undefined ? this.info : this.#info;
    return {
      handle: this.handle,
      name: this.name,
      where,
      process: this.#process,
      opening: this.#opening,
      ...(trouble === undefined ? {} : { error: toPlainError(trouble) }),
      ...(shown === undefined ? {} : { info: shown }),
      ...(restsOn.length > 0 ? { restsOn } : {}),
      ...(busy ? { busy } : {}),
      ...(this.#stale === undefined || busy ? {} : { stale: this.#stale }),
    };
  }

  get #process(): ImageProcess {
    const { worker, wakes = true } = this.#run ?? {};
    if (worker === undefined) return wakes && this.#info !== undefined ? 'resting' : 'waiting';
    const { state } = worker;
    return wakes && (state === 'starting' || state === 'running') ? 'resting' : state;
  }

  #start(wakes: boolean, first: boolean): Promise<ImageInfo> {
    const { seats, supervisor } = this.#around;
    this.#error = undefined;
    const before = this.#run;
    // Its end is no trouble of the image: nobody is told of it.
    this.#run = undefined;
    if (before?.worker?.alive === true) void supervisor.end(this.handle);
    before?.seat.leave();
    const seat = seats.take(
      { idle: () => this.#run?.worker?.state === 'running', rest: () => this.#rest() },
      first,
    );
    const run: Run = { seat, wakes };
    this.#run = run;
    this.#around.changed();
    run.done = this.#begin(run);
    return run.done;
  }

  async #begin(run: Run): Promise<ImageInfo> {
    const { handle, path } = this;
    const { supervisor, gate, keyring } = this.#around;
    if (!(await run.seat.entered)) throw ended(this.name);
    const stamp = await stampOf(path);
    if (run.seat.phase === 'left') throw ended(this.name);
    if (this.#stale !== undefined || !sameStamp(stamp, this.#stamp)) run.wakes = false;
    this.#stamp = stamp;
    this.#stale = undefined;
    const worker = supervisor.start('image', handle, this.name, {
      state: (state) => {
        if (state === 'crashed') {
          gate.withdraw(handle);
          run.seat.leave();
        }
        // One that did not answer for a while may rest again.
        if (state === 'running') this.#around.seats.next();
        if (this.#run === run) this.#around.changed();
      },
      ask: (_handle, request) => this.#ask(run, request),
    });
    run.worker = worker;
    this.#around.changed();
    try {
      const sent = keyring.of(this.chain ?? [realPath(path)]);
      const info = await worker.call('open', [{ handle, path }, sent]);
      if (!run.wakes) this.#opening++;
      return await this.#unlockKnown(worker, info, sent);
    } catch (error) {
      // A crash tells itself; an image that does not open needs no process any more.
      if (worker.alive) {
        this.#error = error instanceof PlatterError ? error : new PlatterError('internal', String(error));
        this.#info = undefined;
        await supervisor.end(handle);
      }
      run.seat.leave();
      throw error;
    } finally {
      run.wakes = false;
      run.seat.opened();
      if (this.#run === run) this.#around.changed();
    }
  }

  /** One that wakes asks only what the person has not answered with no before. */
  async #ask(run: Run, request: GateRequest): Promise<boolean> {
    const key = JSON.stringify([request.role, request.resolved, request.format]);
    if (run.wakes && this.#refused.has(key)) return false;
    run.seat.asking(true);
    try {
      const allow = await this.#around.gate.ask(this.handle, request);
      if (!allow) this.#refused.add(key);
      return allow;
    } finally {
      run.seat.asking(false);
    }
  }

  /** One that rests on an image whose passphrase is known opens with it; a passphrase that was wrong is forgotten. */
  async #unlockKnown(worker: Worker<ImageCalls>, info: ImageInfo, sent: Passphrases): Promise<ImageInfo> {
    const { keyring } = this.#around;
    const chain = chainPaths(this.path, info);
    const locked = lockedPaths(chain, info);
    for (const path of locked) if (path in sent) keyring.forget(path);
    const known = keyring.of(chain);
    const opened = locked.some((path) => path in known)
      ? await worker.call('unlock', [known]).catch(() => info)
      : info;
    this.#opened(worker, opened);
    return opened;
  }

  #opened(worker: Worker<ImageCalls>, info: ImageInfo): void {
    if (this.#run?.worker !== worker) return;
    this.#before = undefined;
    // The same words are the same object: nobody has to be told again.
    if (JSON.stringify(info) !== JSON.stringify(this.#info)) this.#info = info;
    this.chain = chainPaths(this.path, info);
    this.#around.changed();
  }

  /** Gives up its place, for others. */
  #rest(): void {
    this.#run = undefined;
    void this.#around.supervisor.end(this.handle);
    this.#around.changed();
  }

  #leave(): Promise<void> {
    const { gate, supervisor, changed } = this.#around;
    gate.withdraw(this.handle);
    const gone = supervisor.end(this.handle);
    this.#run?.seat.leave();
    changed();
    return gone;
  }

  #notOpen(): PlatterError {
    return new PlatterError('image.not-open', 'This image is still being opened.', {
      image: this.name,
      hint: 'Try again in a moment.',
    });
  }
}

function sameStamp(one: Stamp | undefined, other: Stamp | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
