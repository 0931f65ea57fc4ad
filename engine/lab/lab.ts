/** A laboratory: disks of a command line with a simulated guest on them, that runs, pauses, steps and shows itself. */
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import type { Fault, TrayMove } from '#contract/lab-host.ts';
import type { LabFrame, LabFrameRequest, LabRunState, StepKind } from '#contract/lab.ts';
import type { BlockNode } from '../block/node.ts';
import { PlatterError, toPlainError, type PlainError } from '../errors.ts';
import { costTable } from '../machine/costs.ts';
import type { AioMode } from '../machine/host-io.ts';
import { E } from '../trace/registry.ts';
import { TraceRing } from '../trace/ring.ts';
import { chosenDevices } from './disks.ts';
import type { DrivableDevice } from './drivable.ts';
import { diskOf, frameOf } from './frame.ts';
import { HostHand } from './host-hand.ts';
import { buildMachine, type Machine } from './machine.ts';
import type { LabDisk, WantedDisk } from './machines/kind.ts';
import { Looks, Pace } from './pace.ts';
import { standing, stuck } from './standstill.ts';
import type { Lab, LabOptions } from './types.ts';

/** How long the machine may run before the event loop has its turn, nanoseconds. */
const SLICE_NS = 2_000_000;
/** Steps that one slice may take whatever the clock says: a millisecond or two of cheap ones. */
export const STEPS_PER_SLICE = 4096;

/** Wall-clock nanoseconds from an arbitrary start. */
const wallClock = (): number => performance.now() * 1e6;

/**
 * Builds the laboratory; the guest's drivers have found and initialised the devices when this returns.
 * Throws `lab.no-device`, `lab.unknown-device`, `lab.not-drivable`, `lab.no-drive`, `lab.unknown-drive`, `lab.unbound-drive`,
 * `lab.drive-in-use`, `lab.place-taken`, `lab.bad-value`, `workload.*`, `machine.*`.
 */
export function createLab(options: LabOptions): Lab {
  return new Laboratory(options);
}

class Laboratory implements Lab {
  readonly device: string;
  readonly trace: TraceRing;
  state: LabRunState = 'building';
  error: PlainError | undefined;
  readonly #options: LabOptions;
  readonly #clock: () => number;
  readonly #schedule: (callback: () => void) => void;
  #machine: Machine;
  /** The drive behind each disk. */
  #drives: string[] = [];
  /** How the host is asked for each. */
  #aio: AioMode[] = [];
  /** What the person does to each disk at the host's side. */
  #hands: HostHand[] = [];
  /** What booting the guest took: events by number, model nanoseconds. */
  #bootCounts = new Float64Array(0);
  #bootModelNs = 0;
  #realNs = 0;
  readonly #pace: Pace;
  readonly #looks = new Looks();
  /** The next slice is waiting for its turn in the event loop. */
  #scheduled = false;
  #waiting: (() => void)[] = [];
  #ended: (() => void)[] = [];
  #closed = false;
  /** Why the machine stands still (`rerror=stop` and its like). */
  #stoppedBy: PlatterError | undefined;

  constructor(options: LabOptions) {
    this.#options = options;
    this.#clock = options.clock ?? wallClock;
    this.#schedule = options.schedule ?? ((callback) => void setImmediate(callback));
    this.trace = new TraceRing({ capacity: options.traceEvents, clock: this.#clock });
    this.#pace = new Pace(this.trace, this.#clock);
    this.device = this.#chosen()
      .map(({ label }) => label)
      .join(', ');
    this.#machine = this.#build();
    this.#change('ready');
  }

  #chosen(): DrivableDevice[] {
    const { line, deviceId, workload } = this.#options;
    return chosenDevices(line, workload.disks, deviceId);
  }

  /** Throws `lab.unbound-drive`. */
  #wanted(wanted: DrivableDevice): WantedDisk {
    const { drive } = wanted;
    const node = this.#options.drives(drive);
    if (node !== undefined) return { wanted, node };
    throw new PlatterError('lab.unbound-drive', `no image is bound to drive ${drive}`, {
      option: 'drive',
      value: drive,
    });
  }

  #build(): Machine {
    const { workload, costs } = this.#options;
    const wantedDisks = this.#chosen().map((device) => this.#wanted(device));
    this.#hands = wantedDisks.map(() => new HostHand());
    const disks = wantedDisks.map((disk, i) => ({ ...disk, node: this.#hands[i].under(disk.node) }));
    this.trace.restart();
    this.#stoppedBy = undefined;
    const onReady = (): void => this.#wake();
    this.#drives = disks.map(({ wanted }) => wanted.drive);
    this.#aio = disks.map(({ wanted }) => wanted.aio);
    const machine = buildMachine({
      disks,
      workload,
      trace: this.trace,
      costs: costTable(costs),
      onReady,
      canStop: this.#options.canStop ?? false,
      onIoError: (report) => {
        if (report.action === 'stop') this.#stoppedBy = standing(report);
      },
    });
    this.#bootCounts = this.trace.counts.slice();
    this.#bootModelNs = this.trace.modelNs;
    this.#realNs = 0;
    return machine;
  }

  #change(state: LabRunState, error?: unknown): void {
    this.state = state;
    this.error = error === undefined ? undefined : toPlainError(error);
    this.#options.onStatus?.({ state, device: this.device, error: this.error });
    if (state === 'finished' || state === 'failed') this.#end();
  }

  #end(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const resolve of ended) resolve();
  }

  // ---- running ----

  run(): void {
    if (this.#closed || (this.state !== 'ready' && this.state !== 'paused')) return;
    this.trace.exactClock = false;
    this.#change('running');
    this.#cont();
    this.#pace.restart();
    this.#pump();
  }

  /** QMP's `cont`, for a machine that an error of the host has stopped. */
  #cont(): void {
    this.#stoppedBy = undefined;
    this.#machine.runState.cont();
  }

  pause(): void {
    if (this.state === 'running') this.#change('paused');
  }

  speed(eventsPerSecond: number | null): void {
    this.#pace.set(eventsPerSecond);
    this.#pump();
  }

  #pump(): void {
    if (this.#scheduled || !this.#slice()) return;
    this.#scheduled = true;
    const next = (): void => {
      this.#scheduled = false;
      this.#pump();
    };
    const { delay } = this.#pace;
    if (delay === null) this.#schedule(next);
    else setTimeout(next, delay);
  }

  /** Runs for a while; whether there is more to do at once. */
  #slice(): boolean {
    if (this.state !== 'running') return false;
    const start = this.#clock();
    const until = this.trace.total + this.#pace.allowance(start);
    let looked = start;
    let left = STEPS_PER_SLICE;
    try {
      do {
        left -= this.#looks.steps;
        for (let i = 0; i < this.#looks.steps && this.trace.total < until; i++) {
          if (!this.#machine.scheduler.step()) {
            this.#realNs += this.#clock() - start;
            return this.#idle();
          }
        }
        looked = this.#looks.look(this.#clock(), looked);
      } while (left > 0 && this.trace.total < until && looked - start < SLICE_NS);
    } catch (error) {
      this.#change('failed', error);
      return false;
    }
    this.#realNs += this.#clock() - start;
    return true;
  }

  /** Nothing to do: the work is done, or a block node has yet to answer, or the device has stopped. */
  #idle(): boolean {
    const { guest, host, runState } = this.#machine;
    if (guest.finished) this.#finish();
    else if (!runState.running) {
      if (host.inFlight === 0) this.#change('paused', this.#stoppedBy);
    } else if (host.inFlight === 0) this.#change('failed', this.#whyStuck());
    return false;
  }

  #finish(): void {
    this.#machine.closeDisks();
    this.#change('finished');
  }

  /** A device has stopped working until it is reset, or else a request has no answer to wait for. */
  #whyStuck(): PlatterError {
    const { hardware, guest, disks } = this.#machine;
    const broken = hardware.find(({ error }) => error !== undefined)?.error;
    if (broken !== undefined) return broken;
    const waiting = guest.slots.find(({ busy }) => busy);
    return stuck(
      waiting?.requestId ?? 0,
      waiting === undefined ? this.device : disks[waiting.disk.index].device.summary().name,
    );
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.#pump();
  }

  // ---- stepping ----

  async step(kind: StepKind): Promise<void> {
    if (this.#closed || this.state === 'failed' || this.state === 'finished') return;
    this.pause();
    this.#cont();
    this.trace.exactClock = true;
    const start = this.#clock();
    try {
      if (kind === 'event') await this.#oneEvent();
      else await this.#oneRequest();
      if (this.#machine.guest.finished) this.#finish();
    } catch (error) {
      this.#change('failed', error);
      return;
    }
    this.#realNs += this.#clock() - start;
    if (this.#machine.guest.finished) return;
    if (this.state !== 'running') this.#change('paused', this.#stoppedBy);
  }

  /** Goes on until one more event is recorded. False when there will be none. */
  async #oneEvent(): Promise<boolean> {
    const before = this.trace.total;
    while (this.trace.total === before) {
      if (this.#machine.scheduler.step()) continue;
      const { guest, host, runState } = this.#machine;
      if (guest.finished || this.#closed) return false;
      if (!runState.running && host.inFlight === 0) return false;
      if (host.inFlight === 0) throw this.#whyStuck();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return true;
  }

  /** Goes on until the oldest request in flight, or else the next one, is complete. */
  async #oneRequest(): Promise<void> {
    let wanted = this.#oldestRequest();
    while (await this.#oneEvent()) {
      wanted ??= this.#oldestRequest();
      const last = this.trace.total - 1;
      if (this.trace.eventAt(last) === E.io_getevents && this.trace.requestAt(last) === wanted) return;
    }
  }

  #oldestRequest(): number | undefined {
    const ids = this.#machine.guest.slots.filter(({ busy }) => busy).map(({ requestId }) => requestId);
    return ids.length === 0 ? undefined : Math.min(...ids);
  }

  // ---- a hostile driver ----

  attacks(disk = 0): AttackInfo[] {
    return this.#diskOf(disk).device.attacks?.list() ?? [];
  }

  async attack(id: string, disk = 0): Promise<AttackResult> {
    const { attacks } = this.#diskOf(disk).device;
    if (this.#closed || this.state === 'failed' || this.state === 'building' || attacks === undefined) {
      throw new PlatterError('lab.no-attacks', `no attack can be made on ${this.device} now`, { value: id });
    }
    this.pause();
    await this.#quiesce();
    const before = this.trace.counts.slice();
    const result = await attacks.run(id);
    // The device was initialised again, and opened with it.
    if (this.state === 'finished') this.#machine.closeDisks();
    // What the attack cost is none of the workload's.
    this.trace.counts.forEach((count, event) => (this.#bootCounts[event] += count - before[event]));
    this.#machine.scheduler.wakeAll();
    this.#options.onStatus?.({ state: this.state, device: this.device, error: this.error });
    return result;
  }

  /** Lets the guest finish what it has begun, and begin nothing. */
  async #quiesce(): Promise<void> {
    const { guest, host, scheduler } = this.#machine;
    guest.frozen = true;
    try {
      for (;;) {
        while (scheduler.step());
        if (host.inFlight === 0) return;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      guest.frozen = false;
    }
  }

  // ---- the host's side ----

  fault(fault: Fault | null, disk = 0): void {
    this.#handOf(disk).faults.set(fault);
  }

  moveTray(move: TrayMove, force = false, disk = 0): void {
    this.#atTray(() => this.#handOf(disk).move(this.#diskOf(disk).removable, move, force));
  }

  insert(medium: BlockNode, force = false, disk = 0): void {
    const hand = this.#handOf(disk);
    const node = hand.under(medium);
    // The host is asked for it as for what lay there before (QEMU's `BlockBackendRootState`).
    this.#machine.host.reach(node, this.#aio[disk] ?? this.#aio[0]);
    this.#atTray(() => hand.insert(this.#diskOf(disk).removable, node, force));
  }

  /** The drive may have something to say to its guest. */
  #atTray(move: () => void): void {
    try {
      move();
    } finally {
      this.#machine.scheduler.wakeAll();
      this.#machine.scheduler.wakeThreads();
      this.#pump();
    }
  }

  // ---- ending ----

  /** Waits until no block node has a request of ours. */
  async #drain(): Promise<void> {
    this.#machine.scheduler.cpuStopped = true;
    while (this.#machine.host.inFlight > 0) {
      if (!this.#machine.scheduler.step()) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  async reset(): Promise<void> {
    if (this.#closed) return;
    this.pause();
    await this.#drain();
    this.#change('building');
    try {
      this.#machine = this.#build();
    } catch (error) {
      this.#change('failed', error);
      return;
    }
    this.#change('ready');
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.pause();
    this.#closed = true;
    await this.#drain();
    this.#end();
  }

  async done(): Promise<void> {
    if (this.#closed || this.state === 'finished' || this.state === 'failed') return;
    await new Promise<void>((resolve) => this.#ended.push(resolve));
  }

  // ---- looking ----

  frame(request: LabFrameRequest): LabFrame {
    const { state, error, trace } = this;
    return frameOf(
      {
        state,
        error,
        trace,
        machine: this.#machine,
        hands: this.#hands,
        drives: this.#drives,
        bootCounts: this.#bootCounts,
        bootModelNs: this.#bootModelNs,
        realNs: this.#realNs,
      },
      request,
    );
  }

  #diskOf(disk: number): LabDisk {
    return diskOf(this.#machine, disk);
  }

  #handOf(disk: number): HostHand {
    return this.#hands[disk] ?? this.#hands[0];
  }
}
