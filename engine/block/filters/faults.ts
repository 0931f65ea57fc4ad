/**
 * Requests that fail because somebody wants to see it: what QEMU's `blkdebug` does with `inject-error`, by number instead of by event.
 * The plan belongs to the drive, so that it stays when the medium is changed.
 */
import type { Fault, FaultOperation } from '#contract/lab-host.ts';
import { PlatterError } from '../../errors.ts';
import type { Maybe } from '../../maybe.ts';
import type { BlockNode } from '../node.ts';
import { FilterNode } from './filter.ts';

/** Which requests of one drive are to fail. */
export class Faults {
  #next: Fault | null = null;

  /** What is left of the plan; null when nothing fails any more. */
  get next(): Fault | null {
    return this.#next;
  }

  /** Makes a new plan in place of the old one; null: nothing is to fail. */
  set(fault: Fault | null): void {
    this.#next = fault === null || fault.count <= 0 ? null : { ...fault };
  }

  /** Throws `storage.io` or `storage.no-space` when it is this request's turn. `offset` and `bytes` are those of the request. */
  check(operation: FaultOperation, image: string, offset: number, bytes: number): void {
    const next = this.#next;
    if (next === null || next.operation !== operation) return;
    this.#next = next.count === 1 ? null : { ...next, count: next.count - 1 };
    const code = next.error === 'ENOSPC' ? 'storage.no-space' : 'storage.io';
    throw new PlatterError(code, `${operation} of ${bytes} bytes at ${offset}: ${next.error}, as wanted`, {
      image,
      offset,
      value: next.error,
    });
  }
}

export class FaultNode extends FilterNode {
  readonly driver = 'faults';
  readonly #faults: Faults;

  constructor(child: BlockNode, faults: Faults) {
    super(child);
    this.#faults = faults;
  }

  override read(offset: number, target: Uint8Array): Maybe<void> {
    this.#faults.check('read', this.name, offset, target.length);
    return this.child.read(offset, target);
  }

  override write(offset: number, source: Uint8Array): Maybe<void> {
    this.#faults.check('write', this.name, offset, source.length);
    return this.child.write(offset, source);
  }

  override writeZeroes(offset: number, length: number, unmap?: boolean): Maybe<void> {
    this.#faults.check('write', this.name, offset, length);
    return this.child.writeZeroes(offset, length, unmap);
  }

  override discard(offset: number, length: number): Maybe<void> {
    this.#faults.check('write', this.name, offset, length);
    return this.child.discard(offset, length);
  }

  override flush(): Maybe<void> {
    this.#faults.check('flush', this.name, 0, 0);
    return this.child.flush();
  }
}
