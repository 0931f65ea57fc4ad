/**
 * A small JSON file that is checked against a schema when it is read and replaced whole when it is written. A file that
 * cannot be understood is set aside under another name and said so; the application starts with defaults.
 */
import { readFileSync, renameSync } from 'node:fs';
import { basename } from 'node:path';
import * as v from 'valibot';
import { PlatterError } from '#engine/errors.ts';
import type { Notices } from '../notices.ts';
import { replaceFile } from './file.ts';

export class Store<T> {
  readonly path: string;
  #value: T;
  /** The last write that was begun; writes follow each other. */
  #tail: Promise<void> = Promise.resolve();
  #scheduled = false;
  #pending: Promise<void> = Promise.resolve();
  #listener: (value: T) => void = () => undefined;

  private constructor(path: string, value: T) {
    this.path = path;
    this.#value = value;
  }

  /** Reads the file once. A missing file means defaults: what the schema makes of `{}`. */
  static open<T>(
    path: string,
    schema: v.GenericSchema<unknown, T>,
    notices: Notices,
    now = new Date(),
  ): Store<T> {
    return new Store(path, readChecked(path, schema, notices, now) ?? v.parse(schema, {}));
  }

  get value(): T {
    return this.#value;
  }

  /**
   * Takes the new value at once and writes it; resolves when it is on stable storage. Several changes that come while a
   * write is under way become one.
   * @throws PlatterError `store.write-failed`
   */
  async set(value: T): Promise<void> {
    this.#value = value;
    this.#listener(value);
    if (!this.#scheduled) {
      this.#scheduled = true;
      const next = this.#tail.then(() => this.#write());
      this.#tail = next.catch(() => undefined);
      this.#pending = next;
    }
    await this.#pending;
  }

  async #write(): Promise<void> {
    this.#scheduled = false;
    try {
      await replaceFile(this.path, `${JSON.stringify(this.#value, null, 2)}\n`);
    } catch (error) {
      const errno = errnoOf(error);
      throw new PlatterError(
        'store.write-failed',
        `Cannot save ${basename(this.path)}: ${errno}. The change holds until Platter is closed. Free some space or make the folder writable.`,
        { value: basename(this.path), errno },
        error,
      );
    }
  }

  /** Called with every new value at once. */
  onChange(listener: (value: T) => void): void {
    this.#listener = listener;
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> {
    await this.#tail;
  }
}

function readChecked<T>(
  path: string,
  schema: v.GenericSchema<unknown, T>,
  notices: Notices,
  now: Date,
): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      notices.add('store.unreadable', { file: basename(path), errno: errnoOf(error) });
    }
    return undefined;
  }
  const value = parseJson(text);
  const checked = v.safeParse(schema, value);
  if (checked.success) return checked.output;
  setAside(path, notices, now);
  return undefined;
}

/** The parsed text, or undefined for what is no JSON object (an array would pass for one with every member missing). */
function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

function setAside(path: string, notices: Notices, now: Date): void {
  // Colons are not allowed in names on Windows.
  const aside = `${path}.damaged-${now.toISOString().slice(0, 19).replaceAll(':', '-')}`;
  try {
    renameSync(path, aside);
    notices.add('store.damaged', { file: basename(path), aside: basename(aside) });
  } catch (error) {
    notices.add('store.unreadable', { file: basename(path), errno: errnoOf(error) });
  }
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'EUNKNOWN';
}
