/**
 * `openImage`: from a path or a storage to a block node with its backing chain.
 *
 * Every file that an image names is asked for at the gate first; chains are bounded and may not bite their own tail.
 */
import { basename } from 'node:path';
import type { ImageInfo } from '../../contract/images.ts';
import { PlatterError } from '../errors.ts';
import { andThen, run, wait, type Maybe, type Steps } from '../maybe.ts';
import { FormatNode } from './access.ts';
import type { OpenContext, OpenedBacking } from './format.ts';
import { bestFormat, formatByName, probeFormat } from './formats/registry.ts';
import { denyAll, type Gate, type GateRequest } from './gate.ts';
import { isLeaf, leafOf, type ImageTree } from './image-tree.ts';
import { imageInfo } from './info.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { resolveReference } from './references.ts';
import { FileStorage, openFile } from './storage/file.ts';
import { holderName, imageHolders, refuseHeld } from './storage/locks.ts';
import { NodeStorage } from './storage/node-storage.ts';
import type { Storage } from './storage/storage.ts';
import { WriteBehind } from './storage/write-behind.ts';
import { UnavailableNode, UnavailableStorage } from './unavailable.ts';

export interface OpenOptions {
  /** Default true. */
  readOnly?: boolean;
  /** QEMU's driver name; probed when left out. */
  format?: string;
  /** Asked before any file that an image names is touched. Default: deny. */
  gate?: Gate;
  limits?: Partial<Limits>;
  /**
   * Asked for the passphrase of every encrypted image of the chain, by its display name and, where it is a file, its path. Default: it
   * stays locked.
   */
  secret?: (image: string, path?: string) => Maybe<string | Uint8Array | undefined>;
  /** Open it to repair it: marks of damage do not keep it closed. */
  repair?: boolean;
  /** Opens an internal snapshot (qcow2), by id or name, instead of the present state; read-only. */
  snapshot?: string;
  /**
   * `require` (default): an image whose backing file cannot be opened does not open. `tolerate`: it opens, and reading what
   * lies in the backing file throws the reason. `skip`: as tolerate, without even asking the gate (for `info`).
   */
  backing?: 'require' | 'tolerate' | 'skip';
  /** `skip`: an external data file is not opened either; nothing but the data itself is missed (for `info` and `check`). */
  dataFile?: 'skip';
  /**
   * Whether an image that another process writes to may be read (qemu-img's `-U`): default true. With false it throws
   * `storage.held`, as opening one for writing that another process has open always does.
   */
  share?: boolean;
}

export interface OpenedImage {
  node: FormatNode;
  info: ImageInfo;
}

/** What stands above an image in its chain while it is opened. */
interface Place {
  depth: number;
  /** Path to resolve references against. */
  path?: string;
  /** Identities of the files above and of this one. */
  seen: string[];
  /** What a person says about this layer. */
  tree?: ImageTree;
}

/**
 * Opens an image and its chain: a file by its path, bytes, or layers as a person describes them. A failure leaves nothing open. Takes
 * over a `Storage` that it is given.
 */
export function openImage(
  source: string | Storage | ImageTree,
  options: OpenOptions = {},
): Maybe<OpenedImage> {
  return run(openSteps(source, options));
}

function* openSteps(source: string | Storage | ImageTree, options: OpenOptions): Steps<OpenedImage> {
  const write = options.readOnly === false;
  let node: FormatNode;
  if (typeof source !== 'string' && !isStorage(source)) {
    node = yield* openTree(source, options, { depth: 0, seen: [] });
  } else {
    const storage = typeof source === 'string' ? openNamed(source, options) : source;
    node = yield* openNode(storage, options, {
      depth: 0,
      path: fileOf(storage)?.path,
      seen: [identity(storage)],
    });
  }
  const path = fileOf(node.format.storage)?.path;
  try {
    const info = yield* wait(imageInfo(node));
    const writers = write || path === undefined ? [] : imageHolders(path).filter((holder) => holder.writes);
    if (writers.length > 0) info.writers = writers.map(holderName);
    return { node, info };
  } catch (error) {
    yield* wait(node.close());
    throw error;
  }
}

function isStorage(source: Storage | ImageTree): source is Storage {
  return 'extentAt' in source;
}

/** A file that a person named. */
function openNamed(path: string, options: OpenOptions): FileStorage {
  const write = options.readOnly === false;
  if (write || options.share === false) refuseHeld(path, basename(path), write);
  return openFile(path, { readOnly: !write });
}

/** The layers from the file up. Whoever described them named every file: the gate is not asked. */
function* openTree(tree: ImageTree, options: OpenOptions, above: Place): Steps<FormatNode> {
  const storage = yield* treeStorage(tree, options);
  const file = fileOf(storage);
  const place = { depth: above.depth, path: file?.path, seen: [...above.seen, identity(storage)], tree };
  const given = tree.secret;
  return yield* openNode(
    storage,
    {
      ...options,
      format: isLeaf(tree) ? 'raw' : (tree.driver ?? options.format),
      readOnly: tree.readOnly === true ? true : options.readOnly,
      secret: given === undefined ? options.secret : () => given,
    },
    place,
  );
}

/** What a layer lies in: a file, or another layer's disk. */
function* treeStorage(tree: ImageTree, options: OpenOptions): Steps<Storage> {
  const below = isLeaf(tree) ? tree : tree.file;
  if (below !== undefined && !isLeaf(below)) {
    const { snapshot: _, format: __, ...inner } = options;
    return new NodeStorage(yield* openTree(below, inner, { depth: 0, seen: [] }));
  }
  const readOnly = tree.readOnly === true || options.readOnly !== false;
  return openNamed(leafOf(tree).filename, { ...options, readOnly });
}

/** A node over `storage`; closes it when that fails. */
function* openNode(storage: Storage, options: OpenOptions, place: Place): Steps<FormatNode> {
  try {
    const found =
      options.format === undefined ? yield* wait(probeFormat(storage)) : formatByName(options.format);
    if (options.snapshot !== undefined && found.name !== 'qcow2') {
      throw new PlatterError('block.qcow2-only', `${found.name} images have no snapshots`, {
        field: 'snapshots',
        value: found.name,
      });
    }
    const context = new Context(storage, options, place);
    return new FormatNode(yield* wait(found.open(storage, context)), storage.name);
  } catch (error) {
    yield* wait(storage.close());
    throw error instanceof PlatterError ? error.within({ image: storage.name }) : error;
  }
}

function identity(storage: Storage): string {
  return fileOf(storage)?.identity ?? '';
}

function fileOf(storage: Storage): FileStorage | undefined {
  if (storage instanceof WriteBehind) return storage.file;
  return storage instanceof FileStorage ? storage : undefined;
}

class Context implements OpenContext {
  readonly image: string;
  readonly readOnly: boolean;
  readonly probed: boolean;
  readonly gate: Gate;
  readonly limits: Limits;
  readonly secret: OpenContext['secret'];
  readonly snapshot: string | undefined;
  readonly repair: boolean;
  readonly backing: OpenContext['backing'];
  readonly window: OpenContext['window'];
  readonly vpcSize: OpenContext['vpcSize'];
  readonly #options: OpenOptions;
  readonly #place: Place;

  constructor(storage: Storage, options: OpenOptions, place: Place) {
    this.image = storage.name;
    this.snapshot = options.snapshot;
    this.repair = options.repair === true && place.depth === 0;
    this.readOnly = storage.readOnly || options.snapshot !== undefined || (options.readOnly ?? true);
    this.probed = options.format === undefined;
    this.window = place.tree?.window;
    this.vpcSize = place.tree?.vpcSize;
    const below = place.tree?.backing;
    this.backing = below === null ? 'none' : below?.file === undefined ? undefined : 'given';
    this.gate = options.gate ?? denyAll;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { secret } = options;
    this.secret = secret && ((image) => secret(image, place.path));
    this.#options = options;
    this.#place = place;
  }

  looksLike(head: Uint8Array, size: number): string {
    return bestFormat(head, size, this.image, new Uint8Array(0)).name;
  }

  openBacking(
    reference: string,
    format?: string,
    role: 'backing' | 'parent' = 'backing',
  ): Maybe<OpenedBacking> {
    return run(this.#backing(reference, format, role));
  }

  openStorage(reference: string, role: GateRequest['role']): Maybe<Storage> {
    const given = this.#place.tree?.dataFile;
    if (role === 'data-file' && given !== undefined) {
      return run(treeStorage({ file: given }, { ...this.#options, readOnly: this.readOnly }));
    }
    if (role === 'data-file' && this.#options.dataFile === 'skip')
      return new UnavailableStorage(reference, notAsked(this.image, reference, role));
    return andThen(this.#ask(reference, role, 'raw'), (path) => {
      if (!this.readOnly || this.#options.share === false) refuseHeld(path, basename(path), !this.readOnly);
      return openFile(path, { readOnly: this.readOnly, noFollow: true });
    });
  }

  *#backing(reference: string, format: string | undefined, role: 'backing' | 'parent'): Steps<OpenedBacking> {
    const mode = this.#options.backing ?? 'require';
    try {
      if (mode === 'skip') throw notAsked(this.image, reference, 'backing');
      const node = yield* this.#openBelow(reference, format, role);
      return { node };
    } catch (error) {
      if (mode === 'require' || !(error instanceof PlatterError)) throw error;
      return { node: new UnavailableNode(reference, error), error };
    }
  }

  *#openBelow(reference: string, format: string | undefined, role: 'backing' | 'parent'): Steps<FormatNode> {
    const place = this.#place;
    if (place.depth + 1 >= this.limits.chainDepth) {
      throw new PlatterError(
        'block.chain-too-deep',
        `The backing chain is longer than ${this.limits.chainDepth} images`,
        {
          image: this.image,
          value: reference,
          expected: `at most ${this.limits.chainDepth} images`,
        },
      );
    }
    const tree = place.tree?.backing ?? undefined;
    if (tree?.file !== undefined) {
      const options = {
        ...this.#options,
        format: undefined,
        readOnly: true,
        snapshot: undefined,
        secret: undefined,
      };
      return yield* openTree(tree, options, { ...place, depth: place.depth + 1 });
    }
    if (format !== undefined) formatByName(format);
    const path = yield* wait(this.#ask(reference, role, format));
    if (this.#options.share === false) refuseHeld(path, basename(path), false);
    const storage = openFile(path, { readOnly: true, noFollow: true });
    if (place.seen.includes(storage.identity)) {
      storage.close();
      throw new PlatterError(
        'block.chain-cycle',
        `"${this.image}" names "${reference}", which is above it in the chain`,
        {
          image: this.image,
          value: reference,
          hint: 'The chain bites its own tail: repair it with an unsafe rebase.',
        },
      );
    }
    const options = { ...this.#options, format: tree?.driver ?? format, readOnly: true, snapshot: undefined };
    const passphrase = tree?.secret;
    if (passphrase !== undefined) options.secret = () => passphrase;
    // The passphrase of this layer is not that of the next one.
    else if (place.tree?.secret !== undefined) options.secret = undefined;
    const below = { depth: place.depth + 1, path, seen: [...place.seen, storage.identity], tree };
    return yield* openNode(storage, options, below);
  }

  /** The path, once the gate allowed it. A refusal reads the same whether or not the file exists. */
  #ask(reference: string, role: GateRequest['role'], format: string | undefined): Maybe<string> {
    const base = this.#place.path;
    const resolved = resolveReference(reference, base, this.image);
    const request = { image: this.image, role, reference, resolved, format, depth: this.#place.depth + 1 };
    const refused = (cause?: unknown): PlatterError =>
      new PlatterError(
        'gate.denied',
        `"${this.image}" names another file (${role}: "${reference}"), and opening it was not allowed`,
        { image: this.image, field: role, value: reference, hint: 'Allow it if you trust this image.' },
        cause,
      );
    const allowed = (answer: boolean): string => {
      if (!answer) throw refused();
      return resolved;
    };
    try {
      const answer = this.gate.allow(request);
      if (typeof answer === 'boolean') return allowed(answer);
      return answer.then(allowed, (error: unknown) => Promise.reject(refused(error)));
    } catch (error) {
      throw error instanceof PlatterError && error.code === 'gate.denied' ? error : refused(error);
    }
  }
}

function notAsked(image: string, reference: string, field: GateRequest['role']): PlatterError {
  const what = field === 'data-file' ? 'a data file' : 'a backing file';
  return new PlatterError('gate.not-asked', `"${image}" names ${what} ("${reference}") that was not opened`, {
    image,
    field,
    value: reference,
  });
}
