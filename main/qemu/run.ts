/**
 * One run of QEMU: a program that Platter found, an argument vector, no shell, a private folder, next to no environment. It is
 * ended by force when its time is over, when it holds too much memory, or when nobody wants it any more.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';

export interface RunLimits {
  /** Milliseconds from the start to the end. */
  time: number;
  /** Resident memory, bytes; looked at where the system tells it (Linux). */
  memory: number;
}

export type RunEnd =
  | { kind: 'exit'; code: number | null; signal: NodeJS.Signals | null }
  /** The system could not start it. */
  | { kind: 'failed'; errno: string }
  /** It was ended. */
  | { kind: 'timeout' | 'memory' | 'cancelled' };

export interface QemuRun {
  /** Sends one QMP command; undefined when QEMU is gone or does not know it. */
  ask(command: string, args?: Record<string, unknown>): Promise<unknown>;
  /** Settles when the process is gone. */
  ended: Promise<RunEnd>;
  /** Everything that it printed to standard error, cut at 64 KiB. */
  printed(): string;
  cancel(): void;
}

const MOST_PRINTED = 64 * 1024;
/** The longest answer over QMP, bytes: a whole schema is below 1 MiB. */
const MOST_ANSWER = 64 * 1024 * 1024;
const LOOK_MS = 200;

export interface RunOptions {
  path: string;
  argv: readonly string[];
  /** Working directory, HOME and TMPDIR. */
  folder: string;
  limits: RunLimits;
  signal?: AbortSignal;
}

/** Starts it. Rejects asking, never throws itself. */
export function runQemu({ path, argv, folder, limits, signal }: RunOptions): QemuRun {
  const child = spawn(path, argv, {
    cwd: folder,
    env: environment(folder),
    shell: false,
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  });
  let printed = '';
  let stopped: RunEnd | undefined;
  const stop = (kind: 'timeout' | 'memory' | 'cancelled'): void => {
    stopped ??= { kind };
    child.kill('SIGKILL');
  };
  child.stderr.on('data', (chunk: Buffer) => {
    if (printed.length < MOST_PRINTED) printed += chunk.toString().slice(0, MOST_PRINTED - printed.length);
  });
  const asker = new Asker(child, () => stop('memory'));
  const timer = setTimeout(() => stop('timeout'), limits.time);
  const looking = setInterval(
    () => void tooLarge(child.pid, limits.memory).then((yes) => yes && stop('memory')),
    LOOK_MS,
  );
  const cancel = (): void => stop('cancelled');
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted === true) cancel();
  const ended = new Promise<RunEnd>((resolve) => {
    const done = (end: RunEnd): void => {
      clearTimeout(timer);
      clearInterval(looking);
      signal?.removeEventListener('abort', cancel);
      asker.end();
      resolve(stopped ?? end);
    };
    child.on('error', (error) => {
      done({
        kind: 'failed',
        errno: 'code' in error && typeof error.code === 'string' ? error.code : 'EUNKNOWN',
      });
    });
    child.on('close', (code, name) => done({ kind: 'exit', code, signal: name }));
  });
  return { ask: (command, args) => asker.ask(command, args), ended, printed: () => printed, cancel };
}

/** What QEMU needs: a place for temporary files, messages in English, and on Windows the system's folder. */
function environment(folder: string): NodeJS.ProcessEnv {
  const root = process.env['SystemRoot'];
  return {
    HOME: folder,
    TMPDIR: folder,
    TEMP: folder,
    TMP: folder,
    LC_ALL: 'C',
    ...(root === undefined ? {} : { SystemRoot: root }),
  };
}

async function tooLarge(pid: number | undefined, most: number): Promise<boolean> {
  if (process.platform !== 'linux' || pid === undefined) return false;
  try {
    // The second field of statm: resident pages, 4 KiB each on the systems that Platter runs on.
    const pages = Number((await readFile(`/proc/${String(pid)}/statm`, 'utf8')).split(' ')[1]);
    return pages * 4096 > most;
  } catch {
    return false;
  }
}

/** QMP over the process's own pipes: one command after the other, answers by their ids. */
class Asker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (value: unknown) => void>();
  #last = 0;
  #text = '';
  #over = false;

  constructor(child: ChildProcess, tooMuch: () => void) {
    this.#child = child;
    // QEMU may be gone before it reads.
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString();
      if (this.#text.length > MOST_ANSWER) tooMuch();
      const rows = this.#text.split('\n');
      this.#text = rows.pop() ?? '';
      for (const row of rows) this.#read(row);
    });
  }

  ask(execute: string, args?: Record<string, unknown>): Promise<unknown> {
    if (this.#over) return Promise.resolve(undefined);
    const id = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(
        `${JSON.stringify({ execute, id, ...(args === undefined ? {} : { arguments: args }) })}\n`,
      );
    });
  }

  end(): void {
    this.#over = true;
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#waiting.clear();
  }

  #read(row: string): void {
    let reply: { id?: number; return?: unknown };
    try {
      reply = JSON.parse(row) as typeof reply;
    } catch {
      // Help texts go to standard output too.
      return;
    }
    if (typeof reply !== 'object' || reply === null || reply.id === undefined) return;
    this.#waiting.get(reply.id)?.(reply.return);
    this.#waiting.delete(reply.id);
  }
}
