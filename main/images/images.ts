/** The attached images: each with its handle, its process and what that said about it. */
import { basename, resolve } from 'node:path';
import type { AttachedImage, CheckResult, ImageHandle, ImageInfo, MapPage } from '#contract/images.ts';
import type { PartitionTable } from '#contract/partitions.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { realPath } from '#engine/block/references.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';
import type { Answer, Args, ImageCalls } from '../processes/protocol.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import type { Worker } from '../processes/worker.ts';
import { chainPaths } from './chain-paths.ts';
import { Handles } from './handles.ts';
import { Keyring, lockedPaths, type Passphrases } from './keyring.ts';
import { displayFolder } from './where.ts';

/** Each has a process of its own. */
export const MOST_IMAGES = 64;

export interface ImagesOptions {
  supervisor: Supervisor;
  /** The gate: `ask` the person; `withdraw` when the process is gone; `forget` when the image is detached. */
  gate: {
    ask(handle: string, request: GateRequest): Promise<boolean>;
    withdraw(handle: string): void;
    forget(handle: string): void;
  };
  home: string;
  /** Told after every change of the list or of an image. */
  changed: (images: AttachedImage[]) => void;
  /** Told after every change of which files are attached: to be kept for the next start. */
  filesChanged: () => void;
}

interface Entry {
  worker: Worker<ImageCalls>;
  info?: ImageInfo;
  error?: PlatterError;
  /** Real paths of it and of what it rests on, as of its last opening. */
  chain?: string[];
  /** What a job on it has made out of date, shown until it is open again. */
  before?: ImageInfo;
}

export class Images {
  readonly #options: ImagesOptions;
  readonly #handles = new Handles();
  readonly #entries = new Map<ImageHandle, Entry>();
  readonly #keyring = new Keyring();
  /** Images that a job writes to, with what is said to whoever wants to read them meanwhile. */
  readonly #held = new Map<ImageHandle, PlatterError>();

  constructor(options: ImagesOptions) {
    this.#options = options;
  }

  /**
   * Attaches a file and starts to open it. A file that is attached already keeps its handle. Whether it can be opened shows
   * in the list afterwards.
   * @throws PlatterError `image.too-many`
   */
  attach(file: string): ImageHandle {
    // As it was given: what an image names is relative to the folder in which the person found it.
    const path = resolve(file);
    if (!this.#handles.has(path) && this.#entries.size >= MOST_IMAGES) {
      throw new PlatterError(
        'image.too-many',
        `${MOST_IMAGES} images are attached, which is the most there can be. Detach one first.`,
        { image: basename(path), expected: `at most ${MOST_IMAGES}` },
      );
    }
    const handle = this.#handles.give(path);
    if (!this.#entries.has(handle)) {
      // Its outcome is in the list; here nobody waits for it.
      this.#start(handle).catch(() => undefined);
      this.#options.filesChanged();
    }
    return handle;
  }

  /**
   * Opens it with the passphrase of the first image of its chain that is locked, and with it all others that rest on the same one.
   * Rejects with `luks.wrong-passphrase`; it is then as before.
   */
  async unlock(handle: ImageHandle, passphrase: string): Promise<ImageInfo> {
    const worker = this.#worker(handle);
    const { chain = [], info } = this.#entries.get(handle) as Entry;
    const path = lockedPaths(chain, info).at(0);
    if (path === undefined) return info as ImageInfo;
    const opened = await worker.call('unlock', [{ ...this.#keyring.of(chain), [path]: passphrase }]);
    this.#keyring.give(path, passphrase);
    this.#opened(handle, worker, opened);
    for (const [other, entry] of this.#entries) {
      if (lockedPaths(entry.chain ?? [], entry.info).includes(path)) {
        // One that does not open any more shows it in its row.
        this.#start(other).catch(() => undefined);
      }
    }
    return opened;
  }

  /** The passphrases that are known of these files. */
  passphrases(paths: readonly string[]): Passphrases {
    return this.#keyring.of(paths);
  }

  /** What an attached image and its chain open with. */
  passphrasesOf(handle: ImageHandle): Passphrases {
    return this.#keyring.of(this.#entries.get(handle)?.chain ?? []);
  }

  /** The passphrase of a file that is attached, or will be. */
  keep(path: string, passphrase: string): void {
    this.#keyring.give(realPath(path), passphrase);
  }

  /** Starts over with a new process. Rejects with the reason when the image does not open. */
  async reopen(handle: ImageHandle): Promise<ImageInfo> {
    this.#handles.path(handle);
    return this.#start(handle);
  }

  /** Closes these images while something else writes to their files. Resolves when their processes are gone. */
  async hold(handles: readonly ImageHandle[]): Promise<void> {
    for (const handle of handles) {
      const image = basename(this.#handles.path(handle));
      this.#held.set(
        handle,
        new PlatterError('image.busy', `A job is changing ${image}.`, {
          image,
        }),
      );
      const entry = this.#entries.get(handle);
      if (entry !== undefined) entry.before = entry.info ?? entry.before;
      this.#options.gate.withdraw(handle);
    }
    this.#tell();
    await Promise.all(handles.map((handle) => this.#options.supervisor.end(handle)));
  }

  /** Opens them again. Whether that succeeds shows in the list. */
  async release(handles: readonly ImageHandle[]): Promise<void> {
    for (const handle of handles) this.#held.delete(handle);
    await Promise.all(
      handles
        .filter((handle) => this.#entries.has(handle))
        .map((handle) => this.#start(handle).catch(() => undefined)),
    );
  }

  /** What an attached image said of itself when it was last open. */
  info(handle: ImageHandle): ImageInfo | undefined {
    const entry = this.#entries.get(handle);
    return entry?.info ?? entry?.before;
  }

  async detach(handle: ImageHandle): Promise<void> {
    this.#handles.path(handle);
    this.#held.delete(handle);
    const { chain = [] } = this.#entries.get(handle) ?? {};
    this.#entries.delete(handle);
    this.#forgetPassphrases(chain);
    this.#handles.forget(handle);
    this.#options.gate.forget(handle);
    this.#tell();
    this.#options.filesChanged();
    await this.#options.supervisor.end(handle);
  }

  list(): AttachedImage[] {
    return [...this.#entries].map(([handle, entry]) => this.#row(handle, entry));
  }

  /** What the session keeps: every attached file. */
  files(): { handle: ImageHandle; path: string }[] {
    return [...this.#entries.keys()].map((handle) => ({ handle, path: this.#handles.path(handle) }));
  }

  /** @throws PlatterError `image.unknown-handle` */
  path(handle: ImageHandle): string {
    return this.#handles.path(handle);
  }

  map(handle: ImageHandle, start: number, limit: number): Promise<MapPage> {
    return this.#worker(handle).call('map', [start, limit]);
  }

  read(handle: ImageHandle, space: 'guest' | 'host', offset: number, length: number): Promise<Uint8Array> {
    return this.#worker(handle).call('read', [space, offset, length]);
  }

  partitions(handle: ImageHandle): Promise<PartitionTable | null> {
    return this.#worker(handle).call('partitions', []);
  }

  check(handle: ImageHandle): Promise<CheckResult> {
    return this.#worker(handle).call('check', []);
  }

  /** Asks the image's process. Rejects with the reason when the image is not open. */
  ask<N extends keyof ImageCalls>(
    handle: ImageHandle,
    name: N,
    ...args: Args<ImageCalls, N>
  ): Promise<Answer<ImageCalls, N>> {
    return this.#worker(handle).call(name, args);
  }

  async #start(handle: ImageHandle): Promise<ImageInfo> {
    const path = this.#handles.path(handle);
    const { supervisor, gate } = this.#options;
    const held = this.#held.get(handle);
    if (held !== undefined) throw held;
    gate.withdraw(handle);
    const worker = supervisor.start('image', handle, basename(path), {
      state: (state) => {
        if (state === 'crashed') gate.withdraw(handle);
        if (this.#entries.get(handle)?.worker === worker) this.#tell();
      },
      ask: (_handle, request) => gate.ask(handle, request),
    });
    const { before, chain } = this.#entries.get(handle) ?? {};
    const entry: Entry = { worker, before, chain };
    this.#entries.set(handle, entry);
    this.#tell();
    try {
      const sent = this.#keyring.of(chain ?? [realPath(path)]);
      const info = await worker.call('open', [{ handle, path }, sent]);
      entry.before = undefined;
      return await this.#unlockKnown(handle, worker, info, sent);
    } catch (error) {
      const known = error instanceof PlatterError ? error : undefined;
      // A crash tells itself; an image that does not open needs no process any more.
      if (worker.alive) {
        entry.error = known ?? new PlatterError('internal', String(error));
        await supervisor.end(handle);
      }
      throw error;
    } finally {
      if (this.#entries.get(handle) === entry) this.#tell();
    }
  }

  /** One that rests on an image whose passphrase is known opens with it; a passphrase that was wrong is forgotten. */
  async #unlockKnown(
    handle: ImageHandle,
    worker: Worker<ImageCalls>,
    info: ImageInfo,
    sent: Passphrases,
  ): Promise<ImageInfo> {
    const chain = chainPaths(this.#handles.path(handle), info);
    const locked = lockedPaths(chain, info);
    for (const path of locked) if (path in sent) this.#keyring.forget(path);
    const known = this.#keyring.of(chain);
    const opened = locked.some((path) => path in known)
      ? await worker.call('unlock', [known]).catch(() => info)
      : info;
    this.#opened(handle, worker, opened);
    return opened;
  }

  #opened(handle: ImageHandle, worker: Worker<ImageCalls>, info: ImageInfo): void {
    const entry = this.#entries.get(handle);
    if (entry?.worker !== worker) return;
    entry.info = info;
    entry.chain = chainPaths(this.#handles.path(handle), info);
    this.#tell();
  }

  /** Nothing that is attached needs them any more. */
  #forgetPassphrases(chain: readonly string[]): void {
    const needed = new Set([...this.#entries.values()].flatMap((entry) => entry.chain ?? []));
    for (const path of chain) if (!needed.has(path)) this.#keyring.forget(path);
  }

  /** The process to ask. Rejects with the reason when the image is not open. */
  #worker(handle: ImageHandle): Worker<ImageCalls> {
    this.#handles.path(handle);
    const held = this.#held.get(handle);
    if (held !== undefined) throw held;
    const entry = this.#entries.get(handle);
    if (entry?.error !== undefined) throw entry.error;
    if (entry?.info === undefined) {
      throw (
        entry?.worker.trouble ??
        new PlatterError('image.not-open', 'This image is still being opened.', {
          image: basename(this.#handles.path(handle)),
          hint: 'Try again in a moment.',
        })
      );
    }
    return entry.worker;
  }

  #row(handle: ImageHandle, { worker, info, error, before, chain = [] }: Entry): AttachedImage {
    const path = this.#handles.path(handle);
    const busy = this.#held.has(handle);
    const trouble = busy ? undefined : (error ?? worker.trouble);
    const shown = trouble === undefined ? (info ?? before) : info;
    const restsOn = chain.slice(1).flatMap((below) => this.#attachedAt(below));
    return {
      handle,
      name: basename(path),
      where: displayFolder(path, this.#options.home),
      process: worker.state,
      ...(trouble === undefined ? {} : { error: toPlainError(trouble) }),
      ...(shown === undefined ? {} : { info: shown }),
      ...(restsOn.length > 0 ? { restsOn } : {}),
      ...(busy ? { busy } : {}),
    };
  }

  /** The attached image that lies at this real path, if any. */
  #attachedAt(real: string): ImageHandle[] {
    return [...this.#entries].filter(([, { chain }]) => chain?.[0] === real).map(([handle]) => handle);
  }

  #tell(): void {
    this.#options.changed(this.list());
  }
}
