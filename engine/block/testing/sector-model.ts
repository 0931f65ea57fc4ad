/** Disks that are written with a plan, and what each of their sectors may hold when the writer did not come to its end. */
import type { BlockNode } from '../node.ts';

export const SIZE = 6 << 20;
const SECTOR = 512;

export interface Step {
  kind: 'write' | 'zero' | 'discard' | 'flush';
  offset: number;
  length: number;
  value: number;
}

export const STEPS: Step[] = [
  { kind: 'write', offset: 1_000_000 - (1_000_000 % SECTOR), length: 70 * SECTOR, value: 2 },
  { kind: 'flush', offset: 0, length: 0, value: 0 },
  { kind: 'write', offset: 0, length: 3 * SECTOR, value: 3 },
  { kind: 'write', offset: 2 << 20, length: 1 << 20, value: 4 },
  { kind: 'zero', offset: (2 << 20) + 8 * SECTOR, length: 300 * SECTOR, value: 0 },
  { kind: 'flush', offset: 0, length: 0, value: 0 },
  { kind: 'discard', offset: 0, length: 128 * SECTOR, value: 0 },
  { kind: 'write', offset: SIZE - 5 * SECTOR, length: 5 * SECTOR, value: 6 },
  { kind: 'write', offset: 64 * SECTOR, length: 64 * SECTOR, value: 7 },
];

/** What every sector may hold: values since the last flush, the flushed one included. */
export class SectorModel {
  readonly may = Array.from({ length: SIZE / SECTOR }, () => new Set([0]));

  readonly #unsure = new Set<number>();

  change(step: Step): void {
    for (let at = step.offset; at < step.offset + step.length; at += SECTOR) {
      const values = this.may[at / SECTOR];
      // A value that comes back counts as the newest.
      values.delete(step.value);
      values.add(step.value);
      this.#unsure.delete(at / SECTOR);
    }
  }

  /** Its range may hold what it held before, flush or not, until it is changed again. */
  uncertain(step: Step): void {
    for (let at = step.offset; at < step.offset + step.length; at += SECTOR) this.#unsure.add(at / SECTOR);
  }

  /** Behind a flush only the last value of each sector is left. */
  flushed(): void {
    for (const [sector, values] of this.may.entries()) {
      if (this.#unsure.has(sector)) continue;
      const last = [...values].at(-1) ?? 0;
      values.clear();
      values.add(last);
    }
  }

  /** The first sector that holds what it may not, in words; undefined when there is none. */
  fault(bytes: Buffer): string | undefined {
    for (let sector = 0; sector < SIZE / SECTOR; sector++) {
      const value = bytes[sector * SECTOR];
      const whole = bytes
        .subarray(sector * SECTOR, (sector + 1) * SECTOR)
        .equals(Buffer.alloc(SECTOR, value));
      if (whole && this.may[sector].has(value)) continue;
      return `sector ${sector} holds ${value}, not one of ${[...this.may[sector]].join(', ')}`;
    }
    return undefined;
  }
}

/** Does one step, and tells the model before. */
export async function doStep(node: BlockNode, step: Step, model: SectorModel): Promise<void> {
  const { kind, offset, length, value } = step;
  if (kind === 'flush') {
    await node.flush();
    model.flushed();
    return;
  }
  model.change(step);
  try {
    if (kind === 'write') await node.write(offset, new Uint8Array(length).fill(value));
    else if (kind === 'zero') await node.writeZeroes(offset, length, true);
    else {
      // A hint, which a format may pass over.
      model.uncertain(step);
      await node.discard(offset, length);
    }
  } catch (error) {
    model.uncertain(step);
    throw error;
  }
}
