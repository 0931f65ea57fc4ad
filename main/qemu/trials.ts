/** The page's trials: one at a time, with an image process for every file that has to be looked at. */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import type { ImageHandle, ImageInfo } from '#contract/images.ts';
import type { QemuSchemaAnswer, TryProgress, TryRequest, TryResult } from '#contract/try.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import { PlatterError } from '#engine/errors.ts';
import type { Supervisor } from '../processes/supervisor.ts';
import { findQemu } from './find.ts';
import { Schemas } from './schemas.ts';
import { tryLine } from './trial.ts';

/** How long an image may take to be looked at, milliseconds; then an empty one stands in. */
const INSPECT_MS = 10_000;

export interface TrialsOptions {
  supervisor: Supervisor;
  /** Where schemas are kept. */
  folder: string;
  /** The path behind a handle; throws for one that is not attached. */
  path: (handle: ImageHandle) => string;
  progress: (progress: TryProgress) => void;
}

export class Trials {
  readonly #options: TrialsOptions;
  readonly #schemas: Schemas;
  #running: { abort: AbortController; done: Promise<unknown> } | undefined;

  constructor(options: TrialsOptions) {
    this.#options = options;
    this.#schemas = new Schemas(options.folder);
  }

  /** Ends the trial before it. */
  async run({ line, bindings }: TryRequest): Promise<TryResult> {
    const bound = new Map(bindings.map((b) => [b.driveId, this.#options.path(b.image)]));
    const abort = new AbortController();
    const before = this.#running;
    const done = (async () => {
      before?.abort.abort();
      await before?.done.catch(() => undefined);
      return tryLine({
        line,
        bound,
        schemas: this.#schemas,
        inspect: (path, allow) => this.#inspect(path, allow),
        stage: (stage) => this.#options.progress({ stage }),
        signal: abort.signal,
      });
    })();
    this.#running = { abort, done };
    return done;
  }

  /** Resolves when QEMU is gone and its files are removed. */
  async cancel(): Promise<void> {
    this.#running?.abort.abort();
    await this.#running?.done.catch(() => undefined);
  }

  /** Null when there is no QEMU. */
  async schema(arch: string): Promise<QemuSchemaAnswer | null> {
    try {
      const known = await this.#schemas.of(await findQemu(arch));
      return { version: known.schema.version, schema: JSON.stringify(known.schema) };
    } catch (error) {
      if (error instanceof PlatterError && error.code === 'try.no-qemu') return null;
      throw error;
    }
  }

  /** Opens the image read-only in a process of its own, which is ended afterwards. */
  async #inspect(path: string, allow: (request: GateRequest) => boolean): Promise<ImageInfo> {
    const id = `try-${randomBytes(4).toString('hex')}`;
    const { supervisor } = this.#options;
    const worker = supervisor.start('image', id, basename(path), {
      state: () => undefined,
      ask: (_handle, request) => Promise.resolve(allow(request)),
    });
    const timer = setTimeout(() => void supervisor.end(id), INSPECT_MS);
    try {
      return await worker.call('open', [{ handle: id, path }, {}]);
    } finally {
      clearTimeout(timer);
      await supervisor.end(id);
    }
  }
}
