/**
 * Jobs: long or changing work on images, each in a utility process of its own. A request names files by handles only: attached images
 * (`img-…`) and destinations that the person chose in the save dialog (`dst-…`). Sizes and offsets are bytes. Passphrases are no part of
 * a request: see secrets.ts.
 */
import * as v from 'valibot';
import type { PlainError } from './error.ts';
import type { CheckResult, ImageHandle } from './images.ts';

export const imageHandleSchema = v.pipe(v.string(), v.regex(/^img-[0-9a-f]{16}$/));
/** Names a file that need not exist yet. */
export const targetHandleSchema = v.pipe(v.string(), v.regex(/^dst-[0-9a-f]{16}$/));
export const jobIdSchema = v.pipe(v.string(), v.regex(/^job-[0-9a-f]{16}$/));
export type TargetHandle = v.InferOutput<typeof targetHandleSchema>;
export type JobId = v.InferOutput<typeof jobIdSchema>;

const MOST = Number.MAX_SAFE_INTEGER;
const bytes = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST));
const someBytes = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(1023));
/** QEMU's driver name. */
const format = v.pipe(v.string(), v.regex(/^[a-z0-9]{1,16}$/));
/** As `-o` of qemu-img names them; each format refuses what it does not know. */
const optionsSchema = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[a-z0-9_.-]{1,32}$/)),
    v.union([v.pipe(v.string(), v.maxLength(256)), v.number(), v.boolean()]),
  ),
  v.check((options) => Object.keys(options).length <= 32, 'too many options'),
  v.check((options) => !Object.keys(options).some((key) => key.endsWith('secret')), 'no place for secrets'),
);
export type FormatOptions = v.InferOutput<typeof optionsSchema>;

/** Where a new image goes. */
const destination = {
  target: targetHandleSchema,
  format,
  options: v.optional(optionsSchema, {}),
  /** The person agreed that the file that is there is replaced. */
  overwrite: v.optional(v.boolean(), false),
  /** Attach the new image when it is there. */
  attach: v.optional(v.boolean(), true),
};

export const jobRequestSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('convert'),
    image: imageHandleSchema,
    /** An internal snapshot instead of the present state. */
    snapshot: v.optional(name),
    compressed: v.optional(v.boolean(), false),
    /** Runs of zeroes of this many bytes are left out (`-S`), 0: everything is written. */
    sparse: v.optional(v.pipe(bytes, v.multipleOf(512))),
    ...destination,
  }),
  v.strictObject({
    kind: v.literal('create'),
    size: bytes,
    /** The new image is an overlay over this one. */
    backing: v.optional(imageHandleSchema),
    /** The format of that image, which the new one notes. */
    backingFormat: v.optional(format),
    ...destination,
  }),
  v.strictObject({
    kind: v.literal('resize'),
    image: imageHandleSchema,
    size: bytes,
    /** The person agreed that what lies behind the new end is lost. */
    shrink: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    kind: v.literal('check'),
    image: imageHandleSchema,
    repair: v.picklist(['none', 'leaks', 'all']),
  }),
  v.strictObject({
    kind: v.literal('snapshot'),
    image: imageHandleSchema,
    action: v.picklist(['create', 'apply', 'delete']),
    name,
  }),
  v.strictObject({
    kind: v.literal('bitmap'),
    image: imageHandleSchema,
    action: v.picklist(['add', 'remove', 'enable', 'disable', 'clear', 'merge']),
    name,
    /** With `add`: bytes that one bit stands for. */
    granularity: v.optional(someBytes),
    /** With `merge`: the bitmap whose bits are added, of `source` or of the same image. */
    from: v.optional(name),
    source: v.optional(imageHandleSchema),
  }),
  v.strictObject({
    kind: v.literal('compare'),
    image: imageHandleSchema,
    other: imageHandleSchema,
    strict: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    kind: v.literal('commit'),
    image: imageHandleSchema,
    /** Empty the image afterwards, as qemu-img does unless it is told `-d`. */
    empty: v.optional(v.boolean(), true),
  }),
  v.strictObject({
    kind: v.literal('rebase'),
    image: imageHandleSchema,
    /** The new backing image; null: none. */
    backing: v.nullable(imageHandleSchema),
    backingFormat: v.optional(format),
    /** Only the name is changed; what the guest reads may change with it. */
    unsafe: v.optional(v.boolean(), false),
  }),
  v.strictObject({
    kind: v.literal('amend'),
    image: imageHandleSchema,
    options: v.optional(optionsSchema, {}),
    /** A change of the key slots of an encrypted image. */
    keys: v.optional(
      v.strictObject({
        /** `active`: another passphrase is added; `inactive`: a slot, or all that a passphrase opens, is erased. */
        state: v.picklist(['active', 'inactive']),
        slot: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(31))),
        /** The person agreed that nothing opens the image any more. */
        force: v.optional(v.boolean()),
      }),
    ),
  }),
  v.strictObject({
    kind: v.literal('measure'),
    image: imageHandleSchema,
    format,
    options: v.optional(optionsSchema, {}),
  }),
  v.strictObject({
    kind: v.literal('checksum'),
    image: imageHandleSchema,
    algorithm: v.picklist(['sha256', 'blake3']),
  }),
  v.strictObject({
    kind: v.literal('copy'),
    image: imageHandleSchema,
    /** Bytes of one block; how many of them are left out at the start; behind how many it ends (`skip` is among them, as in qemu-img). */
    bs: someBytes,
    skip: v.optional(bytes, 0),
    count: v.optional(bytes),
    ...destination,
  }),
]);
export type JobRequest = v.InferOutput<typeof jobRequestSchema>;
export type JobKind = JobRequest['kind'];
export type JobOf<K extends JobKind> = Extract<JobRequest, { kind: K }>;

/** A destination that the person chose. */
export interface TargetFile {
  handle: TargetHandle;
  name: string;
  /** The folder, shortened for display only. */
  where: string;
  exists: boolean;
}

/** How far a job is. */
export interface JobProgress {
  /** Bytes of the disk that are done, and all of them; equal while the last step (making the file durable) goes on. */
  done: number;
  total: number;
  /** Bytes a second over the last seconds; 0 until it is known. */
  speed: number;
  /** Seconds that the rest will take at that speed; null until it is known. */
  remaining: number | null;
}

/** What a job found or made. */
export type JobResult =
  | { kind: 'done' }
  /** A new image: its file's bytes, and what it occupies. */
  | { kind: 'file'; size: number; actual?: number; attached?: ImageHandle }
  | { kind: 'size'; before: number; after: number }
  | { kind: 'check'; counts: CheckResult; fixed?: { corruptions: number; leaks: number } }
  | {
      kind: 'compare';
      verdict: 'identical' | 'content' | 'status' | 'size';
      offset?: number;
      sizesDiffer: boolean;
    }
  | { kind: 'measure'; required: number; full: number; bitmaps?: number }
  | { kind: 'checksum'; algorithm: string; digest: string; size: number };

/** As the history keeps it: only what a past run wrote itself. */
export const jobResultSchema: v.GenericSchema<unknown, JobResult> = v.variant('kind', [
  v.object({ kind: v.literal('done') }),
  v.object({ kind: v.literal('file'), size: v.number(), actual: v.optional(v.number()) }),
  v.object({ kind: v.literal('size'), before: v.number(), after: v.number() }),
  v.object({
    kind: v.literal('check'),
    counts: v.object({
      corruptions: v.number(),
      leaks: v.number(),
      checkErrors: v.number(),
      totalClusters: v.number(),
      allocatedClusters: v.number(),
      compressedClusters: v.number(),
      fragmentedClusters: v.number(),
      imageEndOffset: v.number(),
      messages: v.array(v.string()),
    }),
    fixed: v.optional(v.object({ corruptions: v.number(), leaks: v.number() })),
  }),
  v.object({
    kind: v.literal('compare'),
    verdict: v.picklist(['identical', 'content', 'status', 'size']),
    offset: v.optional(v.number()),
    sizesDiffer: v.boolean(),
  }),
  v.object({
    kind: v.literal('measure'),
    required: v.number(),
    full: v.number(),
    bitmaps: v.optional(v.number()),
  }),
  v.object({
    kind: v.literal('checksum'),
    algorithm: v.string(),
    digest: v.string(),
    size: v.number(),
  }),
]);

export type JobState = 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled';

/**
 * What a job that did not finish left behind. `nothing`: no file under the new name; `as-before`: the file that was there is the old
 * one; `unfinished`: the image is whole, but only a part of the work is in it.
 */
export type JobLeft = 'nothing' | 'as-before' | 'unfinished';

/** One job, running or past. */
export interface JobRow {
  id: JobId;
  request: JobRequest;
  /** Base names by the handles of `request`. */
  names: Record<string, string>;
  state: JobState;
  /** Milliseconds since 1970. */
  started: number;
  /** Milliseconds, once it has ended. */
  took?: number;
  progress?: JobProgress;
  /** Its process has not answered for a while. */
  silent?: boolean;
  result?: JobResult;
  error?: PlainError;
  left?: JobLeft;
  /** The equivalent qemu-img command, files by their base names. */
  command: string;
  /** From an earlier run of the application. */
  past?: boolean;
}

/** A past job's request with handles of this run, to be looked at and started again. */
export interface JobAgain {
  request: JobRequest;
  /** The destination, when the request has one. */
  target?: TargetFile;
}
