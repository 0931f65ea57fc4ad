/** The hostile driver of one device: which attacks there are, one run of one of them, and the recovery after it. */
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import { PlatterError, toPlainError } from '../../errors.ts';
import type { TraceRing } from '../../trace/ring.ts';
import type { Attack, HostileDriver } from './attack.ts';

export interface AttackPanel {
  list(): AttackInfo[];
  /**
   * Runs one on a device whose queues are empty; the driver has initialised the device again when this returns. Throws
   * `lab.unknown-attack`.
   */
  run(id: string): Promise<AttackResult>;
}

/** What the panel needs of a device's kind. */
export interface HostileTarget<H extends HostileDriver> {
  readonly trace: TraceRing;
  /** Those that can be tried on it, as it is set up now. */
  attacks(): readonly Attack<H>[];
  /** A driver for one attack. */
  hostile(): H;
  /** Lets device and disk work until nothing is left to do, block nodes that answer later included. */
  quiet(): Promise<void>;
  /** Lets the guest's own driver initialise the device as at boot. */
  recover(): void;
  /** Whether the device, just initialised, reads its first sector. */
  works(): Promise<boolean>;
}

export class HostilePanel<H extends HostileDriver> implements AttackPanel {
  readonly #target: HostileTarget<H>;

  constructor(target: HostileTarget<H>) {
    this.#target = target;
  }

  list(): AttackInfo[] {
    return this.#target.attacks().map(({ id, group, expects, cves, source }) => ({
      id,
      group,
      expects,
      cves,
      source,
    }));
  }

  async run(id: string): Promise<AttackResult> {
    const target = this.#target;
    const attack = target.attacks().find((entry) => entry.id === id);
    if (attack === undefined) {
      throw new PlatterError('lab.unknown-attack', `this device has no attack called ${id}`, { value: id });
    }
    // Rings begin at their beginning, registers as the guest's driver left them.
    target.recover();
    const firstEvent = target.trace.total;
    const hostile = target.hostile();
    const seen = attack.run(hostile);
    await target.quiet();
    const outcome = seen ?? hostile.outcome;
    const { answers, error } = hostile;
    const result = {
      id,
      outcome,
      expected: outcome === attack.expects,
      answers: [...answers],
      error: error === undefined ? null : toPlainError(error),
      firstEvent,
    };
    target.recover();
    const recovered = await target.works();
    // The proof went past the driver's own books.
    target.recover();
    return { ...result, recovered, lastEvent: target.trace.total - 1 };
  }
}
