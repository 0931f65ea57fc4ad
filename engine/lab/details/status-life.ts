/** The life of the status register, read out of the trace: every write of the driver, every failure of the device. */
import { E } from '../../trace/registry.ts';
import { decodeRow } from '../../trace/row.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { STATUS } from '../../virtio/features.ts';

export interface StatusWrite {
  /** The register's value from then on. */
  value: number;
  by: 'driver' | 'device';
  /** Model nanoseconds. */
  modelNs: number;
}

/** Writes that are kept: the latest ones. */
const KEPT = 32;

export class StatusLife {
  readonly writes: StatusWrite[] = [];
  readonly #trace: TraceRing;
  #seen = 0;
  #counted = 0;

  constructor(trace: TraceRing) {
    this.#trace = trace;
  }

  /** Looks at what was recorded since the last time; cheap when no such event was. */
  update(): readonly StatusWrite[] {
    const { counts, total, first } = this.#trace;
    const counted = counts[E.virtio_set_status] + counts[E.virtio_error];
    if (counted !== this.#counted) {
      this.#counted = counted;
      for (let n = Math.max(first, this.#seen); n < total; n++) this.#look(n);
    }
    this.#seen = total;
    return this.writes;
  }

  #look(n: number): void {
    const event = this.#trace.eventAt(n);
    if (event !== E.virtio_set_status && event !== E.virtio_error) return;
    const { args, modelNs } = decodeRow(this.#trace.copy([n]), 0);
    const before = this.writes.at(-1)?.value ?? 0;
    const write: StatusWrite =
      event === E.virtio_error
        ? { value: args[1], by: 'device', modelNs }
        : { value: args[0] === 0 ? 0 : args[0] | (before & STATUS.needsReset), by: 'driver', modelNs };
    this.writes.push(write);
    if (this.writes.length > KEPT) this.writes.shift();
  }
}
