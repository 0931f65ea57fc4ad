/**
 * Every call from the renderer to main: its name, the schema of its arguments, the type of its answer. Main validates the
 * arguments and the sender of every call; the answer travels as a `Result`.
 */
import * as v from 'valibot';
import type { PlainError } from './error.ts';
import type {
  AttachedImage,
  CheckResult,
  GateQuestion,
  ImageHandle,
  ImageInfo,
  ImagesChange,
  MapPage,
} from './images.ts';
import {
  jobIdSchema,
  jobRequestSchema,
  type JobAgain,
  type JobId,
  type JobProgress,
  type JobRow,
  type TargetFile,
} from './jobs.ts';
import type { PartitionTable } from './partitions.ts';
import { jobSecretsSchema, passphraseSchema } from './secrets.ts';
import type { LabStatus, LineDiskInfo } from './lab.ts';
import { FAULT_ERRORS, FAULT_OPERATIONS, MOST_FAULTS, TRAY_MOVES } from './lab-host.ts';
import type { AttackInfo, AttackResult } from './lab-attacks.ts';
import { tryRequestSchema, type QemuSchemaAnswer, type TryProgress, type TryResult } from './try.ts';
import type { OwnersPage, SearchStep, StructureFields, StructureNode, StructurePage } from './structure.ts';
import {
  bindingSchema,
  configFileSchema,
  sessionSchema,
  settingsSchema,
  workloadSchema,
  type Session,
  type Settings,
} from './settings.ts';

const handle = v.pipe(v.string(), v.regex(/^img-[0-9a-f]{16}$/));
const labId = v.pipe(v.string(), v.regex(/^lab-[0-9a-f]{16}$/));
const byteOffset = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const treePath = v.pipe(v.string(), v.maxLength(256));
const index = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const byteCount = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));

export const labConfigSchema = v.strictObject({
  line: v.pipe(v.string(), v.maxLength(1024 * 1024)),
  bindings: v.pipe(v.array(bindingSchema), v.maxLength(256)),
  configs: v.optional(v.pipe(v.array(configFileSchema), v.maxLength(256))),
  deviceId: v.optional(v.string()),
  workload: workloadSchema,
  qemuVersion: v.pipe(v.string(), v.regex(/^\d+\.\d+$/)),
});

const faultSchema = v.strictObject({
  operation: v.picklist(FAULT_OPERATIONS),
  error: v.picklist(FAULT_ERRORS),
  count: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_FAULTS)),
});

/** One call: the schema of its argument tuple; `answer` exists only in the types. */
interface Call<A extends v.GenericSchema<unknown[], unknown[]>, R> {
  readonly args: A;
  readonly answer?: R;
}
function call<R>() {
  return <A extends v.GenericSchema<never[] | unknown[], unknown[]>>(args: A): Call<A, R> => ({ args });
}
const none = v.strictTuple([]);

export const calls = {
  /** Everything the renderer needs to start: settings, restored work, what the machine offers. */
  'app.start': call<AppStart>()(none),
  /** Puts a text on the clipboard; the page itself has no permission to. */
  'clipboard.write': call<null>()(v.strictTuple([v.pipe(v.string(), v.maxLength(16 * 1024 * 1024))])),
  'settings.set': call<Settings>()(v.strictTuple([v.partial(settingsSchema)])),
  'session.save': call<null>()(v.strictTuple([sessionSchema])),
  /** Opens the system's file dialog; answers the images that were attached (none when cancelled). */
  'images.pick': call<ImageHandle[]>()(none),
  /** Attaches a copy of the bundled sample image, made in the application's data folder. */
  'images.attachSample': call<ImageHandle>()(none),
  'images.list': call<AttachedImage[]>()(none),
  /** Opens it with the passphrase of the first image of its chain that is locked. Main keeps it in memory while it is attached. */
  'images.unlock': call<ImageInfo>()(v.strictTuple([handle, passphraseSchema])),
  /** Starts its process again, after a crash, a hang or a change of the file. */
  'images.reopen': call<ImageInfo>()(v.strictTuple([handle])),
  'images.detach': call<null>()(v.strictTuple([handle])),
  /** These are on the screen: of those that wait to be opened they come first, in this order. */
  'images.hurry': call<null>()(v.strictTuple([v.pipe(v.array(handle), v.maxLength(200))])),
  /** A page of the block map from `start`, at most `limit` extents. */
  'images.map': call<MapPage>()(v.strictTuple([handle, byteOffset, byteCount(65536)])),
  /** Guest-visible bytes (`guest`) or bytes of the file (`host`); at most 1 MiB; shorter at the end. */
  'images.read': call<Uint8Array>()(
    v.strictTuple([handle, v.picklist(['guest', 'host']), byteOffset, byteCount(1024 * 1024)]),
  ),
  /** Parts below a node of the format's tree (`''`: the file) from index `start` on. */
  'images.structure': call<StructurePage>()(v.strictTuple([handle, treePath, index, byteCount(4096)])),
  'images.structureNode': call<StructureNode>()(v.strictTuple([handle, treePath])),
  'images.structureFields': call<StructureFields>()(
    v.strictTuple([handle, treePath, index, byteCount(4096)]),
  ),
  /** Who owns the bytes of the file from an offset on, at most `limit` stretches. The first call looks through all tables. */
  'images.owners': call<OwnersPage>()(v.strictTuple([handle, byteOffset, byteCount(4096)])),
  /** Bytes of every `OWNER_KINDS` in each of `cells` equal parts of the file's bytes. */
  'images.ownerShares': call<Float64Array>()(
    v.strictTuple([handle, byteOffset, byteOffset, byteCount(8192)]),
  ),
  /** One step of a search for bytes (as hexadecimal digits) from an offset on; about a tenth of a second. */
  'images.search': call<SearchStep>()(
    v.strictTuple([
      handle,
      v.picklist(['guest', 'host']),
      v.pipe(v.string(), v.regex(/^([0-9a-f]{2}){1,1024}$/)),
      byteOffset,
      v.boolean(),
    ]),
  ),
  /** The partition table of the guest's disk, or null. */
  'images.partitions': call<PartitionTable | null>()(v.strictTuple([handle])),
  'images.check': call<CheckResult>()(v.strictTuple([handle])),
  /** Whether a file may be opened; `folder`: and with it the others of its folder that the image and its chain name. */
  'gate.answer': call<null>()(v.strictTuple([v.number(), v.boolean(), v.boolean()])),
  /** Asks where a new image is to go, beside an attached image if one is named; null when cancelled. */
  'jobs.pickTarget': call<TargetFile | null>()(
    v.strictTuple([v.nullable(handle), v.pipe(v.string(), v.maxLength(255)), v.string()]),
  ),
  'jobs.start': call<JobId>()(v.strictTuple([jobRequestSchema, jobSecretsSchema])),
  'jobs.cancel': call<null>()(v.strictTuple([jobIdSchema])),
  /** Running jobs and past ones, newest first. */
  'jobs.list': call<JobRow[]>()(none),
  /** A past job's request, its images attached again, to be looked at before it is started. */
  'jobs.again': call<JobAgain>()(v.strictTuple([jobIdSchema])),
  /** Takes a past job off the history; null: all of them. */
  'jobs.forget': call<null>()(v.strictTuple([v.nullable(jobIdSchema)])),
  /** Puts the equivalent qemu-img command on the clipboard, files by their whole paths. */
  'jobs.copyCommand': call<null>()(v.strictTuple([jobRequestSchema])),
  /** The disks of a line and why the lab cannot run them, if it cannot. */
  'lab.disks': call<LineDiskInfo[]>()(
    v.strictTuple([labConfigSchema.entries.line, v.pipe(v.array(configFileSchema), v.maxLength(256))]),
  ),
  'lab.create': call<LabStatus>()(v.strictTuple([labConfigSchema])),
  'lab.run': call<null>()(v.strictTuple([labId])),
  'lab.pause': call<null>()(v.strictTuple([labId])),
  'lab.step': call<null>()(v.strictTuple([labId, v.picklist(['event', 'request'])])),
  /** Events a second while running, or null for as fast as it goes. */
  'lab.speed': call<null>()(v.strictTuple([labId, v.nullable(v.pipe(v.number(), v.minValue(0.1)))])),
  'lab.close': call<null>()(v.strictTuple([labId])),
  /** What a hostile driver can try on the device of one of the lab's disks; and one try, after which the lab stands paused. */
  'lab.attacks': call<AttackInfo[]>()(v.strictTuple([labId, index])),
  'lab.attack': call<AttackResult>()(v.strictTuple([labId, v.pipe(v.string(), v.maxLength(64)), index])),
  /** Makes the next requests of one of the lab's disks fail at the host; null takes that back. */
  'lab.fault': call<null>()(v.strictTuple([labId, v.nullable(faultSchema), index])),
  /** Moves the tray of one of the lab's drives; a guest that has locked it is asked, and `medium.locked` thrown, unless it is by force. */
  'lab.moveTray': call<null>()(v.strictTuple([labId, v.picklist(TRAY_MOVES), v.boolean(), index])),
  /** Puts an attached image, read-only, in place of what lies in the drive; by force as above. */
  'lab.insert': call<null>()(v.strictTuple([labId, handle, v.boolean(), index])),
  /** Asks where to, and saves the trace (JSON lines) there; answers false when cancelled. */
  'lab.saveTrace': call<boolean>()(v.strictTuple([labId])),
  /** Asks for the file that a `-readconfig` of the line stands for, and reads it; null when cancelled. */
  'line.pickConfig': call<PickedConfig | null>()(none),
  /** Starts the installed QEMU with the line, paused and harmless, and tells what it says. One at a time: a new one ends the old. */
  'qemu.try': call<TryResult>()(v.strictTuple([tryRequestSchema])),
  /** Ends the trial that is under way; it answers `cancelled`. */
  'qemu.cancel': call<null>()(none),
  /** What the installed QEMU of that architecture knows, read from it over QMP; null when there is none. */
  'qemu.schema': call<QemuSchemaAnswer | null>()(
    v.strictTuple([v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,32}$/))]),
  ),
} as const;

export type CallName = keyof typeof calls;
export type CallArgs<N extends CallName> = v.InferOutput<(typeof calls)[N]['args']>;
export type CallAnswer<N extends CallName> =
  NonNullable<(typeof calls)[N]['answer']> | Extract<(typeof calls)[N]['answer'], null>;

/** A text file that the person chose. */
export interface PickedConfig {
  /** Its name without the folder. */
  name: string;
  text: string;
}

export interface AppStart {
  settings: Settings;
  session: Session;
  images: AttachedImage[];
  /** Things the person should know: a damaged settings file was set aside, … */
  notices: Notice[];
  versions: { platter: string; electron: string; chrome: string; node: string };
  /** The system's language, when it is one of ours. */
  systemLocale: 'en' | 'zh-CN';
  platform: string;
  /** `qemu-system-x86_64 --version` as `major.minor` when one is installed. */
  qemu: string | null;
}

/** Something the person should know that belongs to no call. */
export interface Notice {
  /** Key in `resources/messages/<locale>/notices.json`. */
  key: string;
  params: Record<string, string>;
  /** An error to show instead of the text. */
  error?: PlainError;
}

/** Events from main to the renderer, by name. */
export interface Events {
  /** The list of attached images, or one of them, changed. */
  'images.changed': ImagesChange;
  'gate.ask': GateQuestion;
  /** The question is void: its image was closed. */
  'gate.withdrawn': number;
  /** A job began, ended or changed its state. */
  'jobs.changed': JobRow[];
  'jobs.progress': { id: JobId; progress: JobProgress };
  'lab.changed': LabStatus;
  'qemu.trying': TryProgress;
  /** A menu item or a global shortcut: the command's id in the palette. */
  command: string;
  notice: Notice;
  'processes.changed': ProcessRow[];
}
export type EventName = keyof Events;

/** One utility process, for the status bar. */
export interface ProcessRow {
  kind: 'image' | 'lab' | 'job';
  /** Handle, lab id or job id. */
  id: string;
  name: string;
  state: 'starting' | 'running' | 'crashed' | 'hung' | 'ended';
}

export { LAB_PORT_TAG, type LabPortMessage } from './lab.ts';
