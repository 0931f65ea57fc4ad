/** What becomes of a request that failed at the host: `rerror=` and `werror=` of QEMU (block/block-backend.c, `blk_get_error_action`). */
import { PlatterError } from '../errors.ts';
import type { ErrorAction } from '../trace/format.ts';

/** QAPI `BlockdevOnError`. */
export const ON_ERROR = ['report', 'ignore', 'enospc', 'stop', 'auto'] as const;
export type OnError = (typeof ON_ERROR)[number];

/** The policies of one device. */
export interface OnErrors {
  readonly rerror: OnError;
  readonly werror: OnError;
}

/** QEMU's defaults. */
export const ON_ERRORS: OnErrors = { rerror: 'auto', werror: 'auto' };

/** Linux's error numbers, as QEMU passes them on. */
export const ERRNO = { EPERM: 1, EIO: 5, ENOSPC: 28 } as const;

/** The error number that the block node's error stands for. */
export function errnoOf(error: unknown): number {
  const code = error instanceof PlatterError ? error.code : '';
  if (code === 'storage.no-space') return ERRNO.ENOSPC;
  return code === 'block.read-only' ? ERRNO.EPERM : ERRNO.EIO;
}

/** `auto`: reads report, writes stop when there is no space left. */
export function errorAction(policy: OnError, isRead: boolean, errno: number): ErrorAction {
  const chosen = policy === 'auto' ? (isRead ? 'report' : 'enospc') : policy;
  if (chosen === 'enospc') return errno === ERRNO.ENOSPC ? 'stop' : 'report';
  return chosen;
}
