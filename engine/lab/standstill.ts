/** Why a machine stands still. */
import { ERRNO } from '../block/on-error.ts';
import { PlatterError } from '../errors.ts';
import type { IoErrorReport } from '../machine/io-errors.ts';

/**
 * Nobody has anything to do and the work is not done: the guest waits for an answer that nobody will give. `requestId` 0 is that of no
 * request. Linux would say "timeout" after half a minute; here it is known at once.
 */
export function stuck(requestId: number, device: string): PlatterError {
  return new PlatterError(
    'lab.stuck',
    `the machine stands still: request ${requestId} waits for an interrupt of ${device} that never comes`,
    { field: String(requestId), value: device },
  );
}

/** What the person reads while the machine stands still. */
export function standing({ operation, errno, requestId }: IoErrorReport): PlatterError {
  const value = errno === ERRNO.ENOSPC ? 'ENOSPC' : errno === ERRNO.EPERM ? 'EPERM' : 'EIO';
  return new PlatterError(
    'lab.io-error',
    `BLOCK_IO_ERROR: a ${operation} of request ${requestId} failed with ${value}; the machine stands still (io-error) until it is run on`,
    { field: operation, value, expected: String(requestId) },
  );
}
