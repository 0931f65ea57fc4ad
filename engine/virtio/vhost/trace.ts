/**
 * The trace of a virtqueue that QEMU does not serve: the same steps under the names of whoever does them, and without those that
 * are not done at all. What QEMU still does itself (status, configuration) is recorded as ever.
 */
import type { Burst } from '../../trace/burst.ts';
import { TraceRing } from '../../trace/ring.ts';

/** What becomes of one event: another event and its arguments out of the old ones, or nothing. */
export type Renamed = null | {
  event: number;
  args: (a: number, b: number, c: number, d: number) => readonly [number, number?, number?, number?];
};

/** Records into another trace, event by event. */
export class RenamingTrace extends TraceRing {
  readonly #target: TraceRing;
  readonly #names: ReadonlyMap<number, Renamed>;

  constructor(target: TraceRing, names: ReadonlyMap<number, Renamed>) {
    super();
    this.#target = target;
    this.#names = names;
  }

  override emit(event: number, requestId: number, a: number, b: number, c: number, d: number): void {
    const renamed = this.#names.get(event);
    if (renamed === null) return;
    if (renamed === undefined) {
      this.#target.emit(event, requestId, a, b, c, d);
      return;
    }
    const [first, second = 0, third = 0, fourth = 0] = renamed.args(a, b, c, d);
    this.#target.emit(renamed.event, requestId, first, second, third, fourth);
  }

  /** Each event may be another one, or none. */
  override emitBurst(burst: Burst, requestId: number, a: number, b: number, c: number, d: number): void {
    this.emitEach(burst, requestId, a, b, c, d);
  }
}
