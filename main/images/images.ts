/** The attached images: each with its handle, its process while it needs one, and what that said about it. */
import { basename, resolve } from 'node:path';
import type {
  AttachedImage,
  CheckResult,
  ImageHandle,
  ImageInfo,
  ImagesChange,
  MapPage,
} from '#contract/images.ts';
import type { PartitionTable } from '#contract/partitions.ts';
import { realPath } from '#engine/block/references.ts';
import { PlatterError } from '#engine/errors.ts';
import type { Answer, Args, ImageCalls } from '../processes/protocol.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import { AttachedFile, type ImageGate, type Surroundings } from './attached-file.ts';
import { Handles } from './handles.ts';
import { Keyring, type Passphrases } from './keyring.ts';
import { RowChanges } from './row-changes.ts';
import { Seats } from './seats.ts';
import { displayFolder } from './where.ts';

/** More than a person can oversee; each costs a row, and a process only now and then. */
export const MOST_IMAGES = 1000;

/** Between two looks whether the files are still the ones that were opened, milliseconds. */
const LOOK_MS = 2000;

export interface ImagesOptions {
  supervisor: Supervisor;
  gate: ImageGate;
  home: string;
  seats?: Seats;
  /** Told after every change of the list or of an image. */
  changed: (change: ImagesChange) => void;
  /** Told after every change of which files are attached: to be kept for the next start. */
  filesChanged: () => void;
  /** Whether a lab of ours writes to it. */
  written: (handle: ImageHandle) => boolean;
}

export class Images {
  readonly #options: ImagesOptions;
  readonly #around: Surroundings;
  readonly #handles = new Handles();
  readonly #files = new Map<ImageHandle, AttachedFile>();
  readonly #keyring = new Keyring();
  readonly #seats: Seats;
  readonly #changes: RowChanges;
  /** Changes that are told together. */
  #together = 0;
  #filesChanged = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ImagesOptions) {
    this.#options = options;
    this.#seats = options.seats ?? new Seats();
    this.#changes = new RowChanges(() => this.list(), options.changed);
    this.#around = {
      supervisor: options.supervisor,
      gate: options.gate,
      seats: this.#seats,
      keyring: this.#keyring,
      changed: () => this.#tell(),
    };
    this.#lookLater();
  }

  /**
   * Attaches a file, to be opened when its turn comes. A file that is attached already keeps its handle. Whether it can be opened
   * shows in the list afterwards.
   * @throws PlatterError `image.too-many`
   */
  attach(file: string): ImageHandle {
    // As it was given: what an image names is relative to the folder in which the person found it.
    const path = resolve(file);
    if (!this.#handles.has(path) && this.#files.size >= MOST_IMAGES) {
      throw new PlatterError(
        'image.too-many',
        `${MOST_IMAGES} images are attached, which is the most there can be. Detach one first.`,
        { image: basename(path), expected: `at most ${MOST_IMAGES}` },
      );
    }
    const handle = this.#handles.give(path);
    if (!this.#files.has(handle)) {
      const attached = new AttachedFile(handle, path, this.#around);
      this.#files.set(handle, attached);
      // Its outcome is in the list; here nobody waits for it.
      attached.open(false).catch(() => undefined);
      this.#keepFiles();
    }
    return handle;
  }

  /** Whatever is attached and detached by `work` is told once, at its end. */
  together<T>(work: () => T): T {
    this.#together++;
    try {
      return work();
    } finally {
      this.#together--;
      this.#tell();
      this.#changes.flush();
      if (this.#filesChanged) this.#keepFiles();
    }
  }

  /** These are on the screen: of those that wait they are opened first. */
  hurry(handles: readonly ImageHandle[]): void {
    const seats = handles.flatMap((handle) => this.#files.get(handle)?.seat ?? []);
    this.#seats.hurry(seats);
  }

  /**
   * Opens it with the passphrase of the first image of its chain that is locked, and with it all others that rest on the same one.
   * Rejects with `luks.wrong-passphrase`; it is then as before.
   */
  async unlock(handle: ImageHandle, passphrase: string): Promise<ImageInfo> {
    const file = this.#file(handle);
    const path = file.locked.at(0);
    if (path === undefined) {
      const { release } = await file.use();
      release();
      return file.info as ImageInfo;
    }
    const opened = await file.unlock({ ...this.#keyring.of(file.chain ?? []), [path]: passphrase });
    this.#keyring.give(path, passphrase);
    for (const other of this.#files.values()) {
      // One that does not open any more shows it in its row.
      if (other.locked.includes(path)) other.open(false).catch(() => undefined);
    }
    return opened;
  }

  /** The passphrases that are known of these files. */
  passphrases(paths: readonly string[]): Passphrases {
    return this.#keyring.of(paths);
  }

  /** What an attached image and its chain open with. */
  passphrasesOf(handle: ImageHandle): Passphrases {
    return this.#keyring.of(this.#files.get(handle)?.chain ?? []);
  }

  /** The passphrase of a file that is attached, or will be. */
  keep(path: string, passphrase: string): void {
    this.#keyring.give(realPath(path), passphrase);
  }

  /** Starts over with a new process. Rejects with the reason when the image does not open. */
  async reopen(handle: ImageHandle): Promise<ImageInfo> {
    return this.#file(handle).open(true);
  }

  /** Closes these images while something else writes to their files. Resolves when their processes are gone. */
  async hold(handles: readonly ImageHandle[]): Promise<void> {
    await Promise.all(handles.map((handle) => this.#file(handle).hold()));
  }

  /** Opens them again. Whether that succeeds shows in the list. */
  async release(handles: readonly ImageHandle[]): Promise<void> {
    await Promise.all(handles.map((handle) => this.#files.get(handle)?.letGo()));
  }

  /** What an attached image said of itself when it was last open. */
  info(handle: ImageHandle): ImageInfo | undefined {
    return this.#files.get(handle)?.info;
  }

  async detach(handle: ImageHandle): Promise<void> {
    const file = this.#file(handle);
    this.#files.delete(handle);
    this.#forgetPassphrases(file.chain ?? []);
    this.#handles.forget(handle);
    const gone = file.end();
    this.#keepFiles();
    await gone;
  }

  list(): AttachedImage[] {
    const at = new Map<string, ImageHandle[]>();
    for (const { handle, chain } of this.#files.values()) {
      if (chain !== undefined) at.set(chain[0], [...(at.get(chain[0]) ?? []), handle]);
    }
    return [...this.#files.values()].map((file) => {
      const restsOn = file.chain?.slice(1).flatMap((below) => at.get(below) ?? []) ?? [];
      return file.row(displayFolder(file.path, this.#options.home), restsOn);
    });
  }

  /** What the session keeps: every attached file. */
  files(): { handle: ImageHandle; path: string }[] {
    return [...this.#files.values()].map(({ handle, path }) => ({ handle, path }));
  }

  /** @throws PlatterError `image.unknown-handle` */
  path(handle: ImageHandle): string {
    return this.#handles.path(handle);
  }

  map(handle: ImageHandle, start: number, limit: number): Promise<MapPage> {
    return this.ask(handle, 'map', start, limit);
  }

  read(handle: ImageHandle, space: 'guest' | 'host', offset: number, length: number): Promise<Uint8Array> {
    return this.ask(handle, 'read', space, offset, length);
  }

  partitions(handle: ImageHandle): Promise<PartitionTable | null> {
    return this.ask(handle, 'partitions');
  }

  check(handle: ImageHandle): Promise<CheckResult> {
    return this.ask(handle, 'check');
  }

  /** Asks the image's process; one that rests is opened again for it. Rejects with the reason when the image is not open. */
  async ask<N extends keyof ImageCalls>(
    handle: ImageHandle,
    name: N,
    ...args: Args<ImageCalls, N>
  ): Promise<Answer<ImageCalls, N>> {
    const { worker, release } = await this.#file(handle).use();
    try {
      return await worker.call(name, args);
    } finally {
      release();
    }
  }

  /** No process is started any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#seats.close();
  }

  /** @throws PlatterError `image.unknown-handle` */
  #file(handle: ImageHandle): AttachedFile {
    this.#handles.path(handle);
    return this.#files.get(handle) as AttachedFile;
  }

  /** Nothing that is attached needs them any more. */
  #forgetPassphrases(chain: readonly string[]): void {
    const needed = new Set([...this.#files.values()].flatMap((file) => file.chain ?? []));
    for (const path of chain) if (!needed.has(path)) this.#keyring.forget(path);
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** One after the other: a file system that hangs holds up no more than the next look. */
  async #look(): Promise<void> {
    for (const file of this.#files.values()) await file.lookAgain(this.#options.written(file.handle));
    if (this.#timer !== undefined) this.#lookLater();
  }

  #keepFiles(): void {
    this.#filesChanged = this.#together > 0;
    if (!this.#filesChanged) this.#options.filesChanged();
  }

  #tell(): void {
    if (this.#together === 0) this.#changes.note();
  }
}
