/** The process's own standard streams. */
import { readSync, writeSync } from 'node:fs';
import { PlatterError } from '#engine/errors.ts';
import type { Io } from './io.ts';
import { OutputClosed } from './output-closed.ts';

/** Text that is gathered before it is written: one system call for many short lines. */
const CHUNK = 64 * 1024;

/** The streams, and `flush`, which has to be called at the end. */
export function processIo(): Io & { flush(): void } {
  let waiting = '';
  const flush = (): void => {
    const text = waiting;
    waiting = '';
    writeAll(1, text);
  };
  return {
    out(text) {
      waiting += text;
      if (waiting.length >= CHUNK) flush();
    },
    err(text) {
      flush();
      writeAll(2, text);
    },
    input: async (limit) => readAll(limit),
    get terminal() {
      return process.stderr.isTTY;
    },
    flush,
  };
}

function writeAll(descriptor: 1 | 2, text: string): void {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EPIPE') throw new OutputClosed('the reader of the output went away');
      // A pipe that was set to be non-blocking and is full: wait a moment for its reader.
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

function readAll(limit: number): string {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const length = readSome(chunk);
    if (length === 0) return Buffer.concat(chunks).toString('utf8');
    chunks.push(chunk.subarray(0, length));
    total += length;
    if (total > limit) {
      throw new PlatterError('cli.input-too-large', `standard input is longer than ${limit} bytes`, {
        expected: `at most ${limit} bytes`,
      });
    }
  }
}

function readSome(target: Buffer): number {
  for (;;) {
    try {
      return readSync(0, target);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
