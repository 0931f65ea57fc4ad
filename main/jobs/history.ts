/** The jobs of past runs, kept in `jobs.json`. Handles mean nothing in the next run, so each job keeps the paths behind its own. */
import * as v from 'valibot';
import type { PlainError } from '#contract/error.ts';
import { jobRequestSchema, jobResultSchema, type JobRow } from '#contract/jobs.ts';
import { PlatterError, toPlainError } from '#engine/errors.ts';

/** The oldest go first. */
export const MOST_KEPT = 200;

const errorSchema: v.GenericSchema<unknown, PlainError> = v.object({
  code: v.string(),
  message: v.string(),
  context: v.record(v.string(), v.union([v.string(), v.number()])),
});

const recordSchema = v.object({
  id: v.string(),
  request: jobRequestSchema,
  names: v.record(v.string(), v.string()),
  /** Path by handle. */
  files: v.record(v.string(), v.string()),
  state: v.picklist(['running', 'cancelling', 'done', 'failed', 'cancelled']),
  started: v.number(),
  took: v.optional(v.number()),
  result: v.optional(jobResultSchema),
  error: v.optional(errorSchema),
  left: v.optional(v.picklist(['nothing', 'as-before', 'unfinished'])),
  command: v.string(),
});
export type JobRecord = v.InferOutput<typeof recordSchema>;

export const historySchema = v.object({ jobs: v.optional(v.array(recordSchema), []) });
export type JobHistory = v.InferOutput<typeof historySchema>;

/** What is kept of a job. Passphrases are no part of it. */
export function recordOf(row: JobRow, files: Record<string, string>): JobRecord {
  const { progress: _progress, silent: _silent, past: _past, result, ...rest } = row;
  const record: JobRecord = { ...rest, files };
  if (result !== undefined) record.result = result.kind === 'file' ? withoutHandle(result) : result;
  return record;
}

function withoutHandle<T extends { attached?: string }>(result: T): T {
  const { attached: _attached, ...rest } = result;
  return rest as T;
}

/** A past job as the page sees it. One that was running when the application ended is told as such. */
export function pastRow(record: JobRecord): JobRow {
  const { files: _files, ...row } = record;
  if (row.state !== 'running' && row.state !== 'cancelling') return { ...row, past: true };
  const image = Object.values(row.names)[0] ?? '';
  const error = new PlatterError(
    'job.interrupted',
    `Platter ended while this job ran. ${image} may hold a part of its work.`,
    { image },
  );
  return { ...row, state: 'failed', past: true, error: toPlainError(error) };
}
