/** "Try it": what the person's own QEMU says to a line, started paused, headless and without a way to write anything. */
import * as v from 'valibot';
import { bindingSchema } from './settings.ts';

export const tryRequestSchema = v.strictObject({
  line: v.pipe(v.string(), v.maxLength(1024 * 1024)),
  /** Attached images that stand for the line's files. */
  bindings: v.pipe(v.array(bindingSchema), v.maxLength(256)),
});
export type TryRequest = v.InferOutput<typeof tryRequestSchema>;

/** Character offsets in the line, `end` exclusive. */
export interface TrySpan {
  start: number;
  end: number;
}

/** One thing that was changed for the trial. */
export interface TryChange {
  /** Where it stands in the line; absent for what was added. */
  span?: TrySpan;
  /** What stood there, shortened. */
  was: string;
  /** What QEMU got instead; absent when it was left out. */
  became?: string;
  /** Key `reason.<reason>` in `resources/messages/<locale>/try.json`, with its parameters. */
  reason: string;
  params: Record<string, string>;
}

/** One message that QEMU printed, continuation lines included. */
export interface TryMessage {
  /** QEMU's words; names that the trial put in are the line's own again. */
  text: string;
  level: 'error' | 'warning' | 'note';
  /** The place that it is about, as narrow as it is known. */
  span?: TrySpan;
  /** The option, as it stands in the line, shortened. */
  option?: string;
  /** The lint rule that explains it. */
  rule?: string;
}

/** A block node as QEMU built it. */
export interface QemuBlockNode {
  /** QEMU's node-name; generated ones begin with `#`. */
  name: string;
  driver: string;
  /** The line's own file name where a stand-in was opened. */
  file?: string;
  readOnly: boolean;
  /** `file`, `backing`, … of the node above; empty at the top. */
  role: string;
  children: QemuBlockNode[];
}

/** What stands above a block graph: a drive or a device (`block backend`), or nothing when nobody uses the node. */
export interface QemuBlockTree {
  /** `id=` of the drive, or the path or id of the device that holds an unnamed back end; empty for a node on its own. */
  owner: string;
  /** The device that is plugged on it. */
  device?: string;
  root?: QemuBlockNode;
}

export interface QemuPciDevice {
  /** `05.0`, slot and function. */
  address: string;
  /** `id=` of the device, empty for the board's own. */
  id: string;
  /** What kind of device it is, in QEMU's words. */
  description: string;
  /** `8086:1237` */
  ids: string;
  /** What sits behind it, when it is a bridge. */
  behind?: QemuPciDevice[];
}

export interface QemuVirtioDevice {
  name: string;
  path: string;
}

/** What QEMU built of the line, asked over QMP. */
export interface QemuTree {
  blocks: QemuBlockTree[];
  pci: QemuPciDevice[];
  /** Null when this QEMU has no `x-query-virtio`. */
  virtio: QemuVirtioDevice[] | null;
}

/**
 * `accepted`: QEMU would start. `refused`: it ended with an error. `ended`: it ended of its own accord (`-version`, `-device help`).
 * `timeout`, `memory`, `cancelled`: it was ended, and nothing can be said of the line.
 */
export type TryVerdict = 'accepted' | 'refused' | 'ended' | 'timeout' | 'memory' | 'cancelled';

export interface TryResult {
  verdict: TryVerdict;
  /** `7.2.22`, and the program's name and place. */
  qemu: { version: string; program: string; path: string };
  /** The text that was tried; the spans are of this text. */
  line: string;
  messages: TryMessage[];
  changes: TryChange[];
  /** What QEMU was started with, word by word. */
  argv: string[];
  tree?: QemuTree;
}

export type TryStage = 'files' | 'starting' | 'asking' | 'ending';

/** How far the present trial is. */
export interface TryProgress {
  stage: TryStage;
}

/** The installed QEMU's schema. */
export interface QemuSchemaAnswer {
  /** `7.2` */
  version: string;
  /** `Schema` of engine/qemu/schema/schema.ts, as JSON text: a contract knows no type of the engine's. */
  schema: string;
}
