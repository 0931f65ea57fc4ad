/** What a running laboratory offers: the one interface of the utility process, the terminal program and the tests. */
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import type { Fault, TrayMove } from '#contract/lab-host.ts';
import type { LabFrame, LabFrameRequest, LabRunState, StepKind } from '#contract/lab.ts';
import type { PlainError } from '#contract/error.ts';
import type { Workload } from '#contract/settings.ts';
import type { BlockNode } from '../block/node.ts';
import type { CommandLine } from '../qemu/model.ts';
import type { CostTable } from '../machine/costs.ts';
import type { TraceRing } from '../trace/ring.ts';

export interface LabOptions {
  /** The parsed command line (`parseCommandLine`). */
  line: CommandLine;
  /** The open block node behind `-drive id=` or `-blockdev node-name=`; undefined when nothing is bound to it. The caller closes it. */
  drives: (driveId: string) => BlockNode | undefined;
  workload: Workload;
  /** `id=` of the device to work on, when the workload names no disks; the first one that the laboratory can drive when left out. */
  deviceId?: string;
  /** The real clock in nanoseconds from any fixed point. */
  clock?: () => number;
  /** Runs the callback soon, after the event loop had its turn. `setImmediate` when left out. */
  schedule?: (callback: () => void) => void;
  /** Called after every change of state. */
  onStatus?: (change: LabStatusChange) => void;
  /** Somebody is there to let the machine run on when `rerror=stop` or its like stopped it; otherwise the guest hears of such errors. */
  canStop?: boolean;
  /** Events that the trace holds before it forgets the oldest; a power of two is used. */
  traceEvents?: number;
  /** Changes to the table of published costs behind the model clock, nanoseconds by key. */
  costs?: Partial<CostTable>;
}

export interface LabStatusChange {
  state: LabRunState;
  /** What is driven, in words of the command line: `virtio-blk-pci virtio-disk1`, several with commas between them. */
  device: string;
  error?: PlainError;
}

export interface Lab {
  readonly device: string;
  readonly state: LabRunState;
  readonly error: PlainError | undefined;
  /** The recorded events; save.ts writes them as JSON lines. */
  readonly trace: TraceRing;
  /**
   * Runs until the workload is done, or until pause. Does nothing when already running. A machine that an error of the host has
   * stopped (`lab.io-error`) tries again what failed, as QMP's `cont`.
   */
  run(): void;
  pause(): void;
  /** Goes on for one event, or until the oldest request in flight is complete; resolves when it is there. */
  step(kind: StepKind): Promise<void>;
  /** Events a second while running, or null for as fast as it goes. */
  speed(eventsPerSecond: number | null): void;
  /** Starts over: same machine, same workload, empty trace. Requests in flight are waited for. */
  reset(): Promise<void>;
  /** Stops for good and waits for requests in flight. Closes no block node. */
  close(): Promise<void>;
  /** Resolves when the state is `finished`, `failed` or closed. */
  done(): Promise<void>;
  /** What a hostile driver can try on the device of disk number `disk` (0 when left out). */
  attacks(disk?: number): AttackInfo[];
  /**
   * Lets one be tried: pauses, waits until the guest's requests are done, attacks, and initialises the device again. Throws
   * `lab.unknown-attack`, `lab.no-attacks`.
   */
  attack(id: string, disk?: number): Promise<AttackResult>;
  /** Makes the next requests of a disk fail at the host; null takes that back. Starting over forgets it. */
  fault(fault: Fault | null, disk?: number): void;
  /**
   * Moves the tray of a drive from the host's side; `force`: whether the guest has locked it or not. Throws `lab.no-tray`, and
   * `medium.locked` when the guest, which was asked, holds it.
   */
  moveTray(move: TrayMove, force?: boolean, disk?: number): void;
  /** Puts a disc, which the caller closes after the laboratory, in place of what lies in the drive. Throws as `moveTray` does. */
  insert(medium: BlockNode, force?: boolean, disk?: number): void;
  frame(request: LabFrameRequest): LabFrame;
}
