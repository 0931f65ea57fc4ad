/** Reading and writing small text files that the command line names; `-` is standard input. */
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { PlatterError } from '#engine/errors.ts';
import type { Io } from './io.ts';

/** The whole file as text, at most `limit` bytes. Throws `cli.cannot-read`, `cli.input-too-large`. */
export async function readText(path: string, limit: number, io: Io): Promise<string> {
  if (path === '-') return io.input(limit);
  try {
    const descriptor = openSync(path, 'r');
    try {
      const { size } = fstatSync(descriptor);
      if (size > limit) {
        throw new PlatterError('cli.input-too-large', `${path} has ${size} bytes, more than ${limit}`, {
          image: path,
          expected: `at most ${limit} bytes`,
        });
      }
      return readFileSync(descriptor, 'utf8');
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof PlatterError) throw error;
    throw new PlatterError(
      'cli.cannot-read',
      `cannot read ${path}: ${systemReason(error)}`,
      { image: path },
      error,
    );
  }
}

/** Throws `cli.cannot-write`. */
export function writeText(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new PlatterError(
      'cli.cannot-write',
      `cannot write ${path}: ${systemReason(error)}`,
      { image: path },
      error,
    );
  }
}

/** What the operating system says, as its C library words it: `no such file or directory`. */
export function systemReason(error: unknown): string {
  const number = error instanceof Error && 'errno' in error ? error.errno : undefined;
  const known = typeof number === 'number' ? getSystemErrorMap().get(number)?.[1] : undefined;
  return known ?? (error instanceof Error ? error.message : String(error));
}
