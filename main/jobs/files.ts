/** Which files a job reads and which it writes. Pure. */
import type { ImageHandle } from '#contract/images.ts';
import type { JobRequest, TargetHandle } from '#contract/jobs.ts';

export interface JobFiles {
  /** Attached images that are only read. */
  reads: ImageHandle[];
  /** Attached images that are changed in place. */
  writes: ImageHandle[];
  /** The backing image of the first of `writes` is changed as well. */
  writesBacking: boolean;
  /** The new file. */
  target?: TargetHandle;
}

export function filesOf(request: JobRequest): JobFiles {
  const files: JobFiles = { reads: [], writes: [], writesBacking: false };
  switch (request.kind) {
    case 'convert':
    case 'copy':
      return { ...files, reads: [request.image], target: request.target };
    case 'create':
      return { ...files, reads: some(request.backing), target: request.target };
    case 'compare':
      return { ...files, reads: [request.image, request.other] };
    case 'measure':
    case 'checksum':
      return { ...files, reads: [request.image] };
    case 'check':
      return request.repair === 'none'
        ? { ...files, reads: [request.image] }
        : { ...files, writes: [request.image] };
    case 'bitmap':
      return { ...files, writes: [request.image], reads: some(request.source) };
    case 'rebase':
      return { ...files, writes: [request.image], reads: some(request.backing ?? undefined) };
    case 'commit':
      return { ...files, writes: [request.image], writesBacking: true };
    default:
      return { ...files, writes: [request.image] };
  }
}

/** Every handle of the request. */
export function handlesOf(request: JobRequest): string[] {
  const { reads, writes, target } = filesOf(request);
  return [...new Set([...writes, ...reads, ...some(target)])];
}

/** The same request with other handles. A handle that `handles` does not know stays as it is. */
export function withHandles<R extends JobRequest>(request: R, handles: ReadonlyMap<string, string>): R {
  const next: Record<string, unknown> = { ...request };
  for (const key of ['image', 'other', 'target', 'backing', 'source']) {
    const value = next[key];
    if (typeof value === 'string') next[key] = handles.get(value) ?? value;
  }
  return next as R;
}

function some<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
