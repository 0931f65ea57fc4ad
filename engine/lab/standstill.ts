/** Why a machine stands still. */
import { ERRNO } from '../block/on-error.ts';
import { PlatterError } from '../errors.ts';
import type { IoErrorReport } from '../machine/io-errors.ts';

/** Nobody has anything to do and the work is not done: a fault of the laboratory itself. */
export function stuck(): PlatterError {
  return new PlatterError(
    'lab.stuck',
    'the machine stands still although requests are left; this is a fault in the laboratory',
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
