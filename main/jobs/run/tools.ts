/** What a job has at hand in its process: its files, the gate, progress and cancelling. */
import type { JobRequest, JobResult } from '#contract/jobs.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import type { FormatNode } from '#engine/block/access.ts';
import type { Gate } from '#engine/block/gate.ts';
import { openImage, type OpenOptions } from '#engine/block/graph.ts';
import type { JobOptions } from '#engine/block/jobs/job.ts';

export interface JobTools extends Required<JobOptions> {
  /** The path behind a handle of the request. */
  path(handle: string): string;
  /** As the image that the job writes is to name another file: relative to its own folder. */
  reference(handle: string): string;
  /** The gate of what the image `handle` names: main asks the person. */
  gate(handle: string): Gate;
  /** The passphrases that came with the job: of what it makes, adds or erases. */
  secrets: JobSecrets;
  /** Asked for those of the images that it opens. */
  secret: OpenOptions['secret'];
}

export type Runner<K extends JobRequest['kind']> = (
  request: Extract<JobRequest, { kind: K }>,
  tools: JobTools,
) => Promise<JobResult>;

/** Opens an attached image for as long as `work` takes. */
export async function withImage<T>(
  tools: JobTools,
  handle: string,
  options: Omit<OpenOptions, 'gate' | 'secret'>,
  work: (node: FormatNode) => Promise<T>,
): Promise<T> {
  const gate = tools.gate(handle);
  const { node } = await openImage(tools.path(handle), { ...options, gate, secret: tools.secret });
  let value: T;
  try {
    value = await work(node);
  } catch (error) {
    // What went wrong first is what the person has to know.
    await Promise.resolve()
      .then(() => node.close())
      .catch(() => undefined);
    throw error;
  }
  // Closing writes what is still in memory: if that fails, the job has failed.
  await node.close();
  return value;
}
