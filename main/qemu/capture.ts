/** The text that a program prints to standard output and ends. */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';

const TIME_MS = 15_000;

/** Empty when it fails or takes too long. */
export function capture(path: string, argv: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: TIME_MS, windowsHide: true, maxBuffer: 16 * 1024 * 1024, cwd: tmpdir() };
    execFile(path, argv, options, (error, stdout) => resolve(error === null ? stdout : ''));
  });
}
