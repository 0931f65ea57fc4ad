/** What planning a trial needs and makes. */
import type { TryChange } from '#contract/try.ts';
import type { Span } from '../model.ts';
import type { Schema } from '../schema/schema.ts';

/** What is known of a file that the line names. */
export interface FileFacts {
  /** The absolute path that QEMU may open for reading. */
  path: string;
  format: string;
  /** Bytes. */
  virtualSize: number;
  /** Why QEMU must not open it: it names files that are no plain ones, or cannot be read. A reason of `TryChange`. */
  standIn?: 'image-references' | 'image-unreadable';
}

export interface TrialContext {
  /** The private folder of this trial: absolute, and removed afterwards. */
  folder: string;
  /** A file that the line names; undefined when there is no such regular file. */
  file(name: string): FileFacts | undefined;
  /** The image that is bound to a drive or block node. */
  bound(driveId: string): FileFacts | undefined;
  /** What the QEMU that is asked knows. */
  schema: Schema;
  /** QEMU's own seccomp filter can be switched on: this QEMU knows `-sandbox`. */
  sandbox: boolean;
}

/** Words of the argument vector that belong together: an option with its argument. */
export interface TrialWords {
  words: string[];
  /** The option in the line that they come from; absent for what the trial adds. */
  span?: Span;
}

/** An image that has to be made in the trial's folder before QEMU starts. */
export interface MadeImage {
  path: string;
  format: string;
  /** Virtual size, bytes. */
  size: number;
}

export interface TrialPlan {
  /** The trial's folder; what lies in it is the trial's own. */
  folder: string;
  argv: TrialWords[];
  images: MadeImage[];
  changes: TryChange[];
  /** Options that Platter does not know. QEMU is asked whether it does, and they are left out of the trial. */
  unknown: TrialWords[];
  /** What stands in QEMU's words → what stands in the line. */
  aliases: Map<string, string>;
}
