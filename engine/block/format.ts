/**
 * What a format driver is, and how it plugs in.
 *
 * A driver says where the guest's bytes are (`locate`) and changes that (`write`, `writeZeroes`, `discard`); the access layer
 * (access.ts) does all reading and every overwrite in place, for every format alike. A format is one `FormatDescriptor` in
 * formats/registry.ts.
 */
import type { BitmapInfo, HeaderField, CheckResult, SnapshotInfo } from '../../contract/images.ts';
import type { PlatterError } from '../errors.ts';
import type { Maybe } from '../maybe.ts';
import type { Gate, GateRequest } from './gate.ts';
import type { RawWindow, VpcSize } from './image-tree.ts';
import type { Limits } from './limits.ts';
import type { BlockNode } from './node.ts';
import type { Storage } from './storage/storage.ts';

export type { BitmapInfo, CheckResult, HeaderField, SnapshotInfo };

/** A `BlockExtent` to be filled in and used at once: one per node, so that reading makes no garbage. */
export class ExtentSlot {
  /** Bytes from the offset asked for; greater than 0, at most what was asked for. */
  length = 0;
  kind: 'data' | 'zero' | 'unallocated' | 'special' = 'unallocated';
  storage: Storage | undefined = undefined;
  hostOffset = -1;
  /** `data` that may be overwritten in place, without a word to the driver. */
  writable = false;
  compressed = false;
  encrypted = false;

  /** Reads as zeroes; `hostOffset` when space lies reserved behind it. */
  zero(length: number, storage?: Storage, hostOffset = -1): void {
    this.#set('zero', length, storage, hostOffset, false);
  }

  /** Nothing here; `hostOffset` when space lies reserved for it. */
  unallocated(length: number, storage?: Storage, hostOffset = -1): void {
    this.#set('unallocated', length, storage, hostOffset, false);
  }

  data(length: number, storage: Storage, hostOffset: number, writable: boolean): void {
    this.#set('data', length, storage, hostOffset, writable);
  }

  special(length: number, storage: Storage, hostOffset: number, why: 'compressed' | 'encrypted'): void {
    this.#set('special', length, storage, hostOffset, false);
    this.compressed = why === 'compressed';
    this.encrypted = why === 'encrypted';
  }

  #set(
    kind: ExtentSlot['kind'],
    length: number,
    storage: Storage | undefined,
    at: number,
    writable: boolean,
  ): void {
    this.kind = kind;
    this.length = length;
    this.storage = storage;
    this.hostOffset = at;
    this.writable = writable;
    this.compressed = false;
    this.encrypted = false;
  }
}

/** What a driver tells about its image, for `imageInfo`. */
export interface FormatDescription {
  dirty?: boolean;
  encrypted?: boolean;
  /** It is encrypted and was opened without its passphrase: what the guest sees cannot be read. */
  locked?: boolean;
  /** As qemu-img's `compressed`: the format stores (some) data compressed. */
  compressed?: boolean;
  backingFilename?: string;
  backingFormat?: string;
  /** Why the backing image is not open, when `tolerate` let the image open without it. */
  backingError?: PlatterError;
  snapshots?: SnapshotInfo[];
  bitmaps?: BitmapInfo[];
  /** `format-specific.data` of qemu-img, flat. */
  formatSpecific?: Record<string, string | number | boolean>;
  /** Every header field in file order. */
  header: HeaderField[];
}

export interface FormatDriver {
  /** QEMU's driver name. */
  readonly format: string;
  readonly virtualSize: number;
  readonly readOnly: boolean;
  /** Bytes that one allocation takes. */
  readonly clusterSize?: number;
  readonly backing?: BlockNode;
  /** The file that holds the image: its size and what it occupies are told by `info`. */
  readonly storage: Storage;
  /** Fills `out` with the extent that starts at `offset`, at most `length` long. The range lies within the disk. */
  locate(offset: number, length: number, out: ExtentSlot): Maybe<void>;
  /** As `BlockNode.holesAre`. */
  holesAre?(offset: number): ReturnType<NonNullable<BlockNode['holesAre']>>;
  /** Reads from a `special` extent; the range lies within the one that `locate` answered for `offset`. */
  readSpecial?(offset: number, target: Uint8Array): Maybe<void>;
  /**
   * Writes where `locate` did not answer writable data: allocates, copies on write, updates tables. Any range within the disk;
   * it never runs beside another operation of this driver. Missing in a driver that cannot write.
   */
  write?(offset: number, source: Uint8Array): Maybe<void>;
  writeZeroes?(offset: number, length: number, unmap: boolean): Maybe<void>;
  discard?(offset: number, length: number): Maybe<void>;
  /** The same as `readSpecial`, unpacking in another thread where that gains: for jobs that have several reads under way. */
  readSpecialLater?(offset: number, target: Uint8Array): Promise<void>;
  /** Writing compressed clusters; missing where the format has none, or the image may not have them. */
  readonly packer?: ClusterPacker;
  /** All changed metadata and data on stable storage. */
  flush(): Maybe<void>;
  describe(): Maybe<FormatDescription>;
  /** Bytes that all files of the image occupy; missing in a driver whose image is one file. Undefined where nobody can tell. */
  allocatedSize?(): Maybe<number | undefined>;
  /** `qemu-img check`: reads only. */
  check?(): Maybe<CheckResult>;
  /** Closes the storages that the driver opened itself, its own included (flushed before); the backing node is closed by the access layer. */
  close(): Maybe<void>;
}

/** Writing compressed clusters in two steps: packing, which several threads may do at once, and putting the result into the image. */
export interface ClusterPacker {
  /** Bytes of the disk that are packed together. */
  readonly unit: number;
  /** Data that is not packed has no place in the image at all. */
  readonly always: boolean;
  /** `cluster`: `unit` bytes, unchanged until it is done. Undefined when packing does not make it smaller: write it as it is. */
  pack(cluster: Uint8Array): Promise<Uint8Array | undefined>;
  /** Stores what `pack` made of the unit at guest `offset`; it never runs beside another operation of the driver. */
  put(offset: number, packed: Uint8Array): Maybe<void>;
}

/** How an image may open other files: always through the gate. */
export interface OpenContext {
  /** The image's display name. */
  readonly image: string;
  readonly readOnly: boolean;
  /** Opened to be repaired: the dirty and corrupt bits keep no writer out. */
  readonly repair?: boolean;
  /** The internal snapshot that is meant instead of the present state. */
  readonly snapshot?: string;
  /** A person said what stands below, or that nothing does: what the image names does not count. */
  readonly backing?: 'given' | 'none';
  /** Of a raw disk: the stretch of its file. */
  readonly window?: RawWindow;
  /** Of a vpc disk: which of its sizes a person wants to count. */
  readonly vpcSize?: VpcSize;
  /** The format was guessed, not given: raw then guards sector 0. */
  readonly probed: boolean;
  readonly gate: Gate;
  readonly limits: Limits;
  /** The name of the format that these first bytes of a file of `size` bytes would be taken for. */
  looksLike(head: Uint8Array, size: number): string;
  /**
   * The backing image or differencing parent that the image names, opened read-only. With `tolerate`, a failure gives a node
   * whose every access throws the reason; `error` then tells it.
   */
  openBacking(reference: string, format?: string, role?: 'backing' | 'parent'): Maybe<OpenedBacking>;
  /** The passphrase of an encrypted image; undefined leaves it locked. */
  readonly secret?: (image: string) => Maybe<string | Uint8Array | undefined>;
  /** The bytes of another file that the image names: an external data file, an extent. Follows `readOnly`. */
  openStorage(reference: string, role: GateRequest['role']): Maybe<Storage>;
}

export interface OpenedBacking {
  node: BlockNode;
  error?: PlatterError;
}

/** Options of `create`, as `qemu-img create -o` names them; sizes in bytes. Each format checks its own and refuses unknown ones. */
export type CreateOptions = { size: number } & Record<string, string | number | boolean | undefined>;

/** The files beside the image that a format may consist of (flat and split VMDKs). */
export interface CreateFiles {
  /** The base name that the image will have, on which the others' names are built. */
  readonly name: string;
  /** Makes an empty file beside the image. Throws `storage.exists`. */
  create(name: string): Maybe<Storage>;
}

export interface FormatDescriptor {
  /** QEMU's driver name. */
  readonly name: string;
  /**
   * How sure the format is, as QEMU's probes score: 0 not at all, 1 raw, 100 a full magic. `head` holds the first bytes (2048
   * or fewer), `tail` the last 512 or fewer, `size` the file's bytes, `name` its base name.
   */
  probe(head: Uint8Array, size: number, name: string, tail: Uint8Array): number;
  /** Reads and checks the header; nothing is written unless `context.readOnly` is false. Takes over `storage` when it succeeds. */
  open(storage: Storage, context: OpenContext): Maybe<FormatDriver>;
  /** A new image does not read as zeroes: whoever fills it writes zeroes, too. */
  readonly startsAsNoise?: boolean;
  /** Writes an empty image into an empty storage. */
  create?(storage: Storage, options: CreateOptions, files?: CreateFiles): Maybe<void>;
}
