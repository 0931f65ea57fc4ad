/** Ctrl-C ends a job in an orderly way: its signal is aborted, and the exit code is 130. */
import { PlatterError } from '#engine/errors.ts';
import type { Io } from './io.ts';

/**
 * Runs `work` with a signal that Ctrl-C aborts. When the job then ends with `job.cancelled`, `left` says in words what it left, and
 * the answer is 130; everything else is thrown on.
 */
export async function interruptible(
  io: Io,
  left: string,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    return await work(interrupted.signal);
  } catch (error) {
    if (!(error instanceof PlatterError) || error.code !== 'job.cancelled') throw error;
    io.err(`platter: interrupted; ${left}\n`);
    return 130;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
