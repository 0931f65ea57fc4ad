/** Writes a trace as JSON lines: to a temporary file beside its name, which then takes its place. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { PlatterError } from '#engine/errors.ts';

/** Characters that are written at a time. */
const CHUNK = 1 << 20;

/**
 * Runs to its end without giving way, so that the trace does not change meanwhile.
 * @param lines without their ends
 * @throws PlatterError `trace.save-failed`
 */
export function saveLines(path: string, lines: Iterable<string>): void {
  const temporary = `${path}.tmp`;
  try {
    const file = openSync(temporary, 'w');
    try {
      let text = '';
      for (const line of lines) {
        text += `${line}\n`;
        if (text.length >= CHUNK) {
          writeFileSync(file, text);
          text = '';
        }
      }
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    const errno = error instanceof Error && 'code' in error ? String(error.code) : 'EUNKNOWN';
    const value = basename(path);
    throw new PlatterError(
      'trace.save-failed',
      `The trace could not be saved to ${value} (${errno}). Choose another place.`,
      { value, errno },
      error,
    );
  }
}
