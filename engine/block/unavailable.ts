/** Stands for a backing image that is not open: every access throws why. Zeroes in its place would be a lie. */
import type { PlatterError } from '../errors.ts';
import type { BlockExtent, BlockNode } from './node.ts';

export class UnavailableNode implements BlockNode {
  readonly driver = 'unavailable';
  readonly name: string;
  /** Nobody knows: everything is refused, not read as zeroes past some end. */
  readonly virtualSize = Number.MAX_SAFE_INTEGER;
  readonly readOnly = true;
  readonly error: PlatterError;

  constructor(name: string, error: PlatterError) {
    this.name = name;
    this.error = error;
  }

  map(): BlockExtent {
    throw this.error;
  }

  read(): void {
    throw this.error;
  }

  write(): void {
    throw this.error;
  }

  writeZeroes(): void {
    throw this.error;
  }

  discard(): void {
    throw this.error;
  }

  flush(): void {
    // Nothing was written.
  }

  close(): void {
    // Nothing is open.
  }
}
