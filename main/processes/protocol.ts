/**
 * What main and a utility process say to each other. Only plain data crosses; the types of the calls stand here, and both
 * ends are written against them.
 */
import type { Result } from '#contract/error.ts';
import type { CheckResult, ImageInfo, MapPage } from '#contract/images.ts';
import type { PartitionTable } from '#contract/partitions.ts';
import type {
  OwnersPage,
  SearchStep,
  StructureFields,
  StructureNode,
  StructurePage,
} from '#contract/structure.ts';
import type { JobProgress, JobRequest, JobResult } from '#contract/jobs.ts';
import type { Fault, TrayMove } from '#contract/lab-host.ts';
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import type { JobSecrets } from '#contract/secrets.ts';
import type { LabConfig, LabRunState, StepKind } from '#contract/lab.ts';
import type { PlainError } from '#contract/error.ts';
import type { GateRequest } from '#engine/block/gate.ts';
import type { Passphrases } from '../images/keyring.ts';

/** What an image process can be asked to do. Everything is read-only. */
export interface ImageCalls {
  /** One whose passphrase is not among these, or not right any more, opens locked. */
  open: { args: [file: ImageFile, passphrases: Passphrases]; answer: ImageInfo };
  /** Opens it again. With a wrong passphrase it rejects with `luks.wrong-passphrase` and stays as it is. */
  unlock: { args: [passphrases: Passphrases]; answer: ImageInfo };
  map: { args: [start: number, limit: number]; answer: MapPage };
  read: { args: [space: 'guest' | 'host', offset: number, length: number]; answer: Uint8Array };
  /** Of the guest's disk; null where there is no table. */
  partitions: { args: []; answer: PartitionTable | null };
  check: { args: []; answer: CheckResult };
  structure: { args: [path: string, start: number, limit: number]; answer: StructurePage };
  structureNode: { args: [path: string]; answer: StructureNode };
  structureFields: { args: [path: string, start: number, limit: number]; answer: StructureFields };
  owners: { args: [from: number, limit: number]; answer: OwnersPage };
  ownerShares: { args: [from: number, length: number, cells: number]; answer: Float64Array };
  /** `pattern` in hexadecimal digits. */
  search: {
    args: [space: 'guest' | 'host', pattern: string, from: number, backward: boolean];
    answer: SearchStep;
  };
  /** Closes what is open; the process is ended after it. */
  close: { args: []; answer: null };
}

/** What a lab process can be asked to do. `create` comes first and once, with the page's MessagePort beside it. */
export interface LabCalls {
  create: { args: [build: LabBuild]; answer: LabReport };
  run: { args: []; answer: null };
  pause: { args: []; answer: null };
  step: { args: [kind: StepKind]; answer: null };
  speed: { args: [eventsPerSecond: number | null]; answer: null };
  attacks: { args: [disk: number]; answer: AttackInfo[] };
  attack: { args: [id: string, disk: number]; answer: AttackResult };
  fault: { args: [fault: Fault | null, disk: number]; answer: null };
  moveTray: { args: [move: TrayMove, force: boolean, disk: number]; answer: null };
  insert: { args: [file: ImageFile, passphrases: Passphrases, force: boolean, disk: number]; answer: null };
  /** Writes the trace to a temporary file beside `path` and renames it. */
  saveTrace: { args: [path: string]; answer: null };
  close: { args: []; answer: null };
}

/** What a job's process can be asked to do: `run` comes once, and its answer is the end. */
export interface JobCalls {
  run: { args: [build: JobBuild]; answer: JobResult };
  /** Asks the job to stop; `run` then rejects with `job.cancelled`, unless it was done a moment before. */
  cancel: { args: []; answer: null };
}

export interface JobBuild {
  request: JobRequest;
  /** By the request's handles. `reference`: as the image that is written is to name that file. */
  files: Record<string, { path: string; reference?: string }>;
  secrets: JobSecrets;
  /** Of the images that the job opens. */
  passphrases: Passphrases;
}

export interface ImageFile {
  handle: string;
  path: string;
}

export interface LabBuild {
  config: LabConfig;
  /** A file for every image that a binding names. */
  files: ImageFile[];
  /** Of these images and what they rest on. */
  passphrases: Passphrases;
}

export interface LabReport {
  state: LabRunState;
  device?: string;
  error?: PlainError;
}

export interface CallsByKind {
  image: ImageCalls;
  lab: LabCalls;
  job: JobCalls;
}
export type WorkerKind = keyof CallsByKind;
export type CallsOf<K extends WorkerKind> = CallsByKind[K];
export type AnyCalls = Record<string, { args: unknown[]; answer: unknown }>;
export type Args<C, N extends keyof C> = C[N] extends { args: infer A extends unknown[] } ? A : never;
export type Answer<C, N extends keyof C> = C[N] extends { answer: infer R } ? R : never;

export type ToWorker =
  | { kind: 'call'; id: number; name: string; args: unknown[] }
  /** The answer to an `ask`. */
  | { kind: 'allow'; id: number; allow: boolean }
  | { kind: 'ping' };

export type FromWorker =
  /** The process has loaded its code. */
  | { kind: 'ready' }
  | { kind: 'pong' }
  | { kind: 'result'; id: number; result: Result<unknown> }
  /** May a file be opened that the image `handle` names? */
  | { kind: 'ask'; id: number; handle: string; request: GateRequest }
  | { kind: 'report'; report: LabReport }
  | { kind: 'progress'; progress: JobProgress };
