/** The entry of a job's utility process: one job, started and cancelled by main. */
import type { MessagePortMain } from 'electron';
import { PlatterError } from '#engine/errors.ts';
import { Meter } from '../jobs/run/meter.ts';
import { runJob } from '../jobs/run/run.ts';
import type { JobCalls } from '../processes/protocol.ts';
import { Server } from './serve.ts';
import { secretFrom } from './unlock.ts';

/** Milliseconds between two reports of progress. */
const REPORT_MS = 100;

const server = new Server<JobCalls, MessagePortMain>(process.parentPort);
const cancelled = new AbortController();
const meter = new Meter();
let reported = Number.NEGATIVE_INFINITY;

function onProgress(done: number, total: number): void {
  const now = performance.now();
  if (now - reported < REPORT_MS && done < total) return;
  reported = now;
  server.progress(meter.progress(now, done, total));
}

server.start({
  run: ([{ request, files, secrets, passphrases }]) => {
    const path = (handle: string): string => {
      const found = files[handle]?.path;
      if (found === undefined) throw new PlatterError('image.unknown-handle', handle, { value: handle });
      return found;
    };
    return runJob(request, {
      signal: cancelled.signal,
      onProgress,
      path,
      reference: (handle) => files[handle]?.reference ?? path(handle),
      gate: (handle) => server.gateOf(handle),
      secrets,
      secret: secretFrom(passphrases),
    });
  },
  cancel: () => {
    cancelled.abort();
    return null;
  },
});
