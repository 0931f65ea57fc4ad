/** The lab as the renderer sees it: configuration and state over calls, the trace and the rings over a MessagePort. */
import type { PlainError } from './error.ts';
import type { DetailView } from './lab-details.ts';
import type { Fault, TrayView } from './lab-host.ts';
import type { Binding, ConfigFile, Workload } from './settings.ts';

export type LabId = string;

export interface LabConfig {
  /** The command line as text; the lab parses it with the same parser as the editor. */
  line: string;
  bindings: Binding[];
  /** What the line's `-readconfig` options name, as far as it was chosen. */
  configs?: ConfigFile[];
  /** The `id=` of the device to work on when the workload names no disks; the first one that the lab can drive when left out. */
  deviceId?: string;
  workload: Workload;
  /** QEMU's version whose rules hold, `major.minor`. */
  qemuVersion: string;
}

export type LabRunState = 'building' | 'ready' | 'running' | 'paused' | 'finished' | 'failed';

export interface LabStatus {
  id: LabId;
  state: LabRunState;
  process: 'starting' | 'running' | 'crashed' | 'hung' | 'ended';
  /** What is being driven, in words of the command line: `virtio-blk-pci virtio-disk1`, several with commas between them. */
  device?: string;
  error?: PlainError;
}

/** A disk of a command line, as the lab finds it. */
export interface LineDiskInfo {
  /** In words of the command line: `scsi-hd disk1`. */
  label: string;
  /** The id of its drive, by which a workload names it; null when it has none. */
  drive: string | null;
  /** Why the lab cannot run it, or null. */
  error: PlainError | null;
}

/** How far a single step goes: the next event, or until the current request is complete. */
export type StepKind = 'event' | 'request';

// ---- The MessagePort: the renderer asks once a frame, the lab answers with exact-size copies. ----

/** The lab's MessagePort arrives in the page as a window message with this tag and the lab's id. */
export const LAB_PORT_TAG = 'platter:lab-port';
export type LabPortMessage = { tag: typeof LAB_PORT_TAG; lab: LabId };

export interface LabFrameRequest {
  seq: number;
  /** First row wanted (an absolute event number) and how many; count 0 for none. `from: -1` means the newest `count`. */
  from: number;
  count: number;
  /** Only events of this request id, or null for all. */
  requestId: number | null;
  /** Which of the frame's disks is looked at: its device's queues, registers and vectors are shown. The first when left out. */
  disk?: number;
  /** Which queue to show, or null for none. */
  queue: number | null;
  /** Which section of the device's registers to show, or null for none; an unknown one stands for the first. */
  details?: string | null;
}

/** The state of a virtqueue (virtio 1.2, sections 2.7 and 2.8) at the moment of the frame. */
export interface QueueView {
  index: number;
  /** A packed one has one ring: its descriptors stand in `desc`, `next` is the buffer id, `avail.ring` and `used.id` are empty. */
  layout: 'split' | 'packed';
  size: number;
  ready: boolean;
  /** Guest-physical addresses of the three parts. */
  descAddr: number;
  availAddr: number;
  usedAddr: number;
  /** Descriptor table, one element per descriptor. */
  desc: { addr: Float64Array; len: Uint32Array; flags: Uint16Array; next: Uint16Array };
  avail: { flags: number; idx: number; ring: Uint16Array; usedEvent: number };
  used: { flags: number; idx: number; id: Uint32Array; len: Uint32Array; availEvent: number };
  /** The device's own counter: next available entry that it will take. */
  lastAvailIdx: number;
  /** The driver's own counter: next used entry that it will take. */
  lastUsedIdx: number;
  /** Requests popped and not yet pushed. */
  inFlight: number;
  /** For every descriptor the request id that holds it, 0 when free. */
  requestOf: Uint32Array;
  msixVector: number;
  /** Packed only: the device's wrap counters. */
  wrap?: { avail: boolean; used: boolean };
}

export interface VectorView {
  vector: number;
  /** What it serves: `config` or `queue N`. */
  use: string;
  address: number;
  data: number;
  masked: boolean;
  pending: boolean;
  count: number;
}

/** What the programs have had of one disk. */
export interface DiskView {
  /** In words of the command line: `scsi-hd disk1`. */
  name: string;
  drive: string;
  counters: {
    requests: number;
    bytes: number;
    reads: number;
    writes: number;
    flushes: number;
    errors: number;
  };
  /** How long its requests took together, and when the last one was done: nanoseconds of the model clock since the guest was up. */
  waitedNs: number;
  lastNs: number;
  /** Which of its requests are still to fail. */
  fault: Fault | null;
  /** Null for a disk whose medium stays in it. */
  tray: TrayView | null;
}

export interface LabFrame {
  seq: number;
  status: LabRunState;
  error?: PlainError;
  /** The number of events so far, and the oldest that the ring still holds. */
  totalEvents: number;
  firstEvent: number;
  /** Rows of `ROW_WORDS` u32 each (engine/trace/row.ts), `from` is the absolute number of each row. */
  rows: Uint32Array;
  rowNumbers: Float64Array;
  /** Fourteen numbers each, stations 1–7 down and 8–14 up: events so far, and requests now at that station. */
  stationEvents: Float64Array;
  stationOccupancy: Float64Array;
  /** Requests completed, bytes moved, exits, interrupts, notifications, failed requests. */
  counters: {
    requests: number;
    bytes: number;
    reads: number;
    writes: number;
    flushes: number;
    exits: number;
    interrupts: number;
    notifications: number;
    errors: number;
  };
  /**
   * Nanoseconds spent running on the real clock, and on the model clock since the guest was up; the rows' model times
   * count from the same moment, so that those of the boot are negative.
   */
  realNs: number;
  modelNs: number;
  /** The disks that are run, in the order in which they were chosen. */
  disks: DiskView[];
  /** What follows is of the disk that is looked at. */
  queue: QueueView | null;
  queueCount: number;
  /** The device's registers, when they were asked for. */
  details: DetailView | null;
  vectors: VectorView[];
  device: {
    name: string;
    /** The device's number in virtio 1.2, chapter 5; left out when it is no virtio device, and then `status` is its own. */
    virtioId?: number;
    status: number;
    featuresOffered: bigint;
    featuresAcked: bigint;
    configGeneration: number;
    isr: number;
  };
}
