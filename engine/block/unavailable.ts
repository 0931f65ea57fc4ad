/** Stand for files that are not open: every access throws why. Zeroes in their place would be a lie. */
import type { PlatterError } from '../errors.ts';
import type { BlockExtent, BlockNode } from './node.ts';
import type { Storage, StorageExtent } from './storage/storage.ts';

abstract class Unavailable {
  readonly name: string;
  readonly readOnly = true;
  readonly error: PlatterError;

  constructor(name: string, error: PlatterError) {
    this.name = name;
    this.error = error;
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

  flush(): void {
    // Nothing was written.
  }

  close(): void {
    // Nothing is open.
  }
}

/** A backing image. */
export class UnavailableNode extends Unavailable implements BlockNode {
  readonly driver = 'unavailable';
  /** Nobody knows: everything is refused, not read as zeroes past some end. */
  readonly virtualSize = Number.MAX_SAFE_INTEGER;

  map(): BlockExtent {
    throw this.error;
  }

  discard(): void {
    throw this.error;
  }
}

/** An external data file. Where its bytes lie can be told without it, what they are cannot. */
export class UnavailableStorage extends Unavailable implements Storage {
  readonly protocol = 'unavailable';

  size(): number {
    throw this.error;
  }

  truncate(): void {
    throw this.error;
  }

  extentAt(offset: number, length: number): StorageExtent {
    return { offset, length, kind: 'data' };
  }

  allocatedSize(): undefined {
    return undefined;
  }
}
