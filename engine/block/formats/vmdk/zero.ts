/** An extent of type ZERO: reads as zeroes, has no file. */
import type { ExtentSlot } from '../../format.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import type { VmdkExtent } from './driver.ts';

export class ZeroExtent implements VmdkExtent {
  readonly virtualSize: number;
  readonly storage = new MemoryStorage(0, { name: 'zero', readOnly: true });

  constructor(sectors: number) {
    this.virtualSize = sectors * 512;
  }

  locate(_offset: number, length: number, out: ExtentSlot): void {
    out.zero(length);
  }

  write(): void {
    // An image with such an extent is opened read-only.
  }

  writeZeroes(): void {
    // It is zero already.
  }

  discard(): void {
    // There is nothing to give back.
  }

  flush(): void {
    // There is nothing to flush.
  }

  close(): void {
    // There is nothing to close.
  }
}
