/** Settings and open work: what survives a restart. Both are validated when read; a damaged file is set aside. */
import * as v from 'valibot';

export const localeSchema = v.picklist(['en', 'zh-CN']);
export type Locale = v.InferOutput<typeof localeSchema>;

export const themeSchema = v.picklist(['system', 'light', 'dark']);
export type Theme = v.InferOutput<typeof themeSchema>;

export const settingsSchema = v.object({
  /** `null`: follow the system's language. */
  locale: v.optional(v.nullable(localeSchema), null),
  theme: v.optional(themeSchema, 'system'),
  /** How numbers are shown where a person may choose. */
  radix: v.optional(v.picklist(['hex', 'dec']), 'hex'),
  /** Split-pane sizes in percent, keyed by the pane's name. */
  layout: v.optional(v.record(v.string(), v.array(v.number())), {}),
  /** The QEMU version that the linter speaks for: `major.minor`. */
  qemuVersion: v.optional(v.string(), '10.2'),
});
export type Settings = v.InferOutput<typeof settingsSchema>;

export const workspaceSchema = v.picklist(['images', 'machine', 'lab', 'learn']);
export type Workspace = v.InferOutput<typeof workspaceSchema>;

/** How the lab treats a bound image. `overlay`: writes go to memory and vanish (QEMU's `snapshot=on`). */
export const bindingModeSchema = v.picklist(['read-only', 'overlay', 'write']);
export type BindingMode = v.InferOutput<typeof bindingModeSchema>;

/** A drive of the command line bound to an attached image. */
export const bindingSchema = v.object({
  driveId: v.string(),
  /** An opaque handle of an attached image. */
  image: v.string(),
  mode: bindingModeSchema,
});
export type Binding = v.InferOutput<typeof bindingSchema>;

/** Longest file that `-readconfig` may name, in bytes. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

/** What a `-readconfig` of the line names, as the person chose it. Nothing that a line names is opened unasked. */
export const configFileSchema = v.object({
  /** The name that stands in the line. */
  name: v.string(),
  /** The chosen file's own name. */
  file: v.string(),
  text: v.pipe(v.string(), v.maxLength(MAX_CONFIG_BYTES)),
});
export type ConfigFile = v.InferOutput<typeof configFileSchema>;

/** Most disks of a line that a lab runs at once. */
export const MOST_DISKS = 16;

/** fio's names. Sizes in bytes. */
export const workloadSchema = v.object({
  /**
   * The disks that are worked on (fio's `filename`), by their drives or the ids of their devices; each has `numjobs` programs of its own.
   * When left out (or empty): the first disk of the line that the lab can run.
   */
  disks: v.optional(v.pipe(v.array(v.pipe(v.string(), v.maxLength(1024))), v.maxLength(MOST_DISKS))),
  rw: v.picklist(['read', 'write', 'randread', 'randwrite', 'rw', 'randrw']),
  bs: v.pipe(v.number(), v.integer(), v.minValue(512), v.maxValue(4 * 1024 * 1024)),
  iodepth: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024)),
  /** Requests that the program hands over in one call (fio's `iodepth_batch_submit`); 1 when left out. */
  iodepthBatch: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
  /** 1 (when left out): O_DIRECT, every request reaches the disk. 0: through the guest's page cache (fio's `direct`). */
  direct: v.optional(v.picklist([0, 1])),
  /** Programs that do this at once, spread over the virtual CPUs (fio's `numjobs`); 1 when left out. */
  numjobs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))),
  /** Requests that each does; 0 means until it is stopped. */
  numberIos: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** First byte of the region worked on. */
  offset: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  /** Bytes of the region, 0 for the rest of the disk. */
  size: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  /** Percent of reads for `rw` and `randrw`. */
  rwmixread: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100)), 50),
  /** Seed of the pseudo-random offsets and data, so that a run can be repeated. */
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 1),
  /** A flush after so many writes, 0 for never (fio's `fsync`). */
  fsync: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
});
export type Workload = v.InferOutput<typeof workloadSchema>;

/** The open work, saved a moment after it changes. Images are kept by main as paths and come back as new handles. */
export const sessionSchema = v.object({
  workspace: v.optional(workspaceSchema, 'images'),
  line: v.optional(v.string(), ''),
  bindings: v.optional(v.array(bindingSchema), []),
  configs: v.optional(v.array(configFileSchema), []),
  workload: v.optional(workloadSchema),
  selectedImage: v.optional(v.nullable(v.string()), null),
});
export type Session = v.InferOutput<typeof sessionSchema>;
