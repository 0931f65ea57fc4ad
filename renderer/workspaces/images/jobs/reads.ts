/** Whose contents a job reads: for these the passphrase has to be known. */
import type { ImageHandle } from '#contract/images.ts';
import type { JobRequest } from '#contract/jobs.ts';

export function readBy(request: JobRequest): ImageHandle[] {
  switch (request.kind) {
    case 'convert':
    case 'copy':
    case 'checksum':
    case 'commit':
      return [request.image];
    case 'compare':
      return [request.image, request.other];
    case 'rebase': {
      const { image, backing, unsafe } = request;
      return unsafe ? [] : [image, ...(backing === null ? [] : [backing])];
    }
    case 'amend':
      // A new passphrase opens what one that is known opens already.
      return request.keys?.state === 'active' ? [request.image] : [];
    default:
      return [];
  }
}
