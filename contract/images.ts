/** What the renderer learns of an attached image. It holds handles, never paths. */
import type { PlainError } from './error.ts';

/** An opaque handle that main gave out for a file; meaningless outside this run of the application. */
export type ImageHandle = string;

export type ProcessState = 'starting' | 'running' | 'crashed' | 'hung' | 'ended';

/** `waiting`: it is opened when its turn comes. `resting`: it was open, and is opened again when it is asked something. */
export type ImageProcess = ProcessState | 'waiting' | 'resting';

/** One row of the list of attached images. */
export interface AttachedImage {
  handle: ImageHandle;
  /** Base name. */
  name: string;
  /** The folder, shortened for display only. */
  where: string;
  process: ImageProcess;
  /** How often it was opened: what was read before the last time is out of date. */
  opening: number;
  /** Set when the image could not be opened or its process died. */
  error?: PlainError;
  /** Set once it is open. */
  info?: ImageInfo;
  /** Other attached images that it rests on, the nearest first. */
  restsOn?: ImageHandle[];
  /** A job writes to it: it is closed, `info` is what it was before, and it opens again afterwards. */
  busy?: boolean;
  /** The file is not the one any more that was opened: it was removed, another one took its name, or somebody wrote to it. */
  stale?: StaleReason;
}

export type StaleReason = 'gone' | 'replaced' | 'changed';

/** What has changed in the list of attached images. */
export interface ImagesChange {
  /** New and changed rows. */
  rows: AttachedImage[];
  /** All handles in their order, when one came or went. */
  order?: ImageHandle[];
}

/** One layer of a chain: what `qemu-img info --output=json` says, under the same meanings. Sizes in bytes. */
export interface ImageInfo {
  name: string;
  format: string;
  virtualSize: number;
  /** `actual-size`: what it occupies on its medium. */
  actualSize?: number;
  /** The file's length. */
  fileSize: number;
  clusterSize?: number;
  dirty: boolean;
  readOnly: boolean;
  encrypted: boolean;
  /** Encrypted, and opened without its passphrase: it tells about itself, and what the guest sees cannot be read. */
  locked?: boolean;
  compressed: boolean;
  /** As written in the image. */
  backingFilename?: string;
  backingFormat?: string;
  /** The opened backing image, when the gate allowed it. */
  backing?: ImageInfo;
  /** Why the backing image named above is not open. */
  backingError?: PlainError;
  /** Other processes that write to it now (`qemu-system-x86, pid 4711`): what is shown may be half of a change. */
  writers?: string[];
  snapshots: SnapshotInfo[];
  /** Persistent bitmaps, where the image has some. */
  bitmaps?: BitmapInfo[];
  /** `format-specific` of qemu-img, flat: `compat`, `lazy-refcounts`, `refcount-bits`, `corrupt`, `extended-l2`, `compression-type`, … */
  formatSpecific: Record<string, string | number | boolean>;
  /** Every header field in file order, for the overview. */
  header: HeaderField[];
}

export interface SnapshotInfo {
  id: string;
  name: string;
  vmStateSize: number;
  dateSec: number;
  dateNsec: number;
  vmClockNsec: number;
  /** Instructions executed at the moment of the snapshot, when the image says so (qcow2 extra data, bytes 16 to 23; all ones: unknown). */
  icount?: number;
}

/** A persistent bitmap of a qcow2 image. */
export interface BitmapInfo {
  name: string;
  /** Bytes of the disk that one bit stands for. */
  granularity: number;
  /** Its last writer did not close the image: the contents cannot be trusted. */
  inUse: boolean;
  /** It records every write. */
  auto: boolean;
}

export interface HeaderField {
  /** The specification's name, e.g. `l1_table_offset`. */
  name: string;
  /** Byte offset in the file, and length in bytes. */
  offset: number;
  length: number;
  /** Decimal or text, as it is to be shown. */
  value: string;
}

/** A stretch of the guest's disk; one row of `qemu-img map --output=json`. Bytes. */
export interface MapExtent {
  start: number;
  length: number;
  /** 0 for the opened image, 1 for its backing image, … */
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  compressed: boolean;
  /** Byte offset in the file of that depth, where the data is stored plainly. */
  offset?: number;
  /** The file that holds it, by its base name, where that is not the image itself: an extent, an external data file. */
  file?: string;
}

export interface MapPage {
  extents: MapExtent[];
  /** Where to go on, or null at the end of the disk. */
  next: number | null;
}

/** What `qemu-img check --output=json` counts. */
export interface CheckResult {
  corruptions: number;
  leaks: number;
  checkErrors: number;
  totalClusters: number;
  allocatedClusters: number;
  compressedClusters: number;
  fragmentedClusters: number;
  imageEndOffset: number;
  /** The first findings in words, at most a hundred. */
  messages: string[];
}

/** The question that the gate puts to the person. */
export interface GateQuestion {
  id: number;
  image: string;
  role: 'backing' | 'data-file' | 'extent' | 'parent';
  /** The reference as it stands in the image. */
  reference: string;
  /** Where it leads, for the person to judge. */
  resolved: string;
  format?: string;
  depth: number;
}
