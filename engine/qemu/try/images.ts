/** Which file stands behind a name in the trial: the image itself, opened for reading, or an empty one in its place. */
import type { FileFacts, MadeImage, TrialContext } from './types.ts';
import { parseFilename } from '../model/filename.ts';

/** What a name in the line comes to. */
export interface Behind {
  /** What QEMU is to open. */
  path: string;
  format: string;
  /** The image itself; otherwise an empty one. */
  real: boolean;
  /** Why it is not the image itself, a reason of `TryChange`. */
  reason?: string;
}

const MIB = 1024 * 1024;
/** A stand-in's virtual size when nothing is known of the image, bytes; a floppy's, and what two flash chips may have together. */
const USUAL = 64 * MIB;
const FLOPPY = 1440 * 1024;
const FLASH = 256 * 1024;

/** Formats in which an empty image can be made. */
export const MAKEABLE: ReadonlySet<string> = new Set([
  'raw',
  'qcow2',
  'qed',
  'vmdk',
  'vdi',
  'vpc',
  'vhdx',
  'parallels',
]);

/** What the end of a name says of the format. */
function formatByEnding(name: string): string {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1].toLowerCase() ?? '';
  if (ending === 'vhd') return 'vpc';
  if (ending === 'hds' || ending === 'hdd') return 'parallels';
  return MAKEABLE.has(ending) ? ending : 'raw';
}

/** What the back end is for: floppies and flash have sizes of their own. */
export type Purpose = 'disk' | 'floppy' | 'pflash';

export class Images {
  readonly made = new Map<string, MadeImage>();
  readonly aliases = new Map<string, string>();
  readonly #context: TrialContext;
  /** How many places of the line lead to a file. */
  readonly #uses: ReadonlyMap<string, number>;

  /** @param uses how many places of the line lead to a path */
  constructor(context: TrialContext, uses: ReadonlyMap<string, number>) {
    this.#context = context;
    this.#uses = uses;
  }

  /**
   * The file behind a name, as it stands in the line.
   * @param format the format that the line gives it, when it does
   */
  behind(name: string, bound: FileFacts | undefined, format: string | undefined, purpose: Purpose): Behind {
    const { driver, label } = parseFilename(name);
    const local = driver === 'file' && !name.startsWith('json:');
    const facts = bound ?? (local ? this.#context.file(label) : undefined);
    if (facts === undefined) {
      const device = driver === 'host_device' || driver === 'host_cdrom';
      const reason = local ? 'file-missing' : device ? 'host-device' : 'server';
      return this.#standIn(name, name, format ?? formatByEnding(name), sizeOf(purpose), reason);
    }
    this.aliases.set(facts.path, name);
    // The same file twice: an empty image is opened as the line says, so that QEMU's locks tell whether that can be.
    const reason = facts.standIn ?? ((this.#uses.get(facts.path) ?? 0) > 1 ? 'file-twice' : undefined);
    if (reason === undefined) return { path: facts.path, format: facts.format, real: true };
    return this.#standIn(facts.path, name, format ?? facts.format, facts.virtualSize, reason);
  }

  /** An empty qcow2 for the guest's writes, over a node that is only read. @param node its node-name */
  overlay(node: string, size: number): string {
    return this.#make(`over ${node}`, `over-${node}`, 'qcow2', size);
  }

  #standIn(key: string, name: string, format: string, size: number, reason: string): Behind {
    const made = MAKEABLE.has(format) ? format : 'raw';
    const path = this.#make(key, name, made, size);
    this.aliases.set(path, name);
    return { path, format: made, real: false, reason };
  }

  #make(key: string, name: string, format: string, size: number): string {
    const known = this.made.get(key);
    if (known !== undefined) return known.path;
    const ending = format === 'raw' ? 'img' : format;
    // Only letters that no option's grammar has a use for.
    const plain = name
      .replace(/^.*[/\\]/, '')
      .replaceAll(/[^A-Za-z0-9_-]+/g, '-')
      .slice(0, 24);
    const path = `${this.#context.folder}/${String(this.made.size)}-${plain}.${ending}`;
    this.made.set(key, { path, format, size });
    return path;
  }
}

function sizeOf(purpose: Purpose): number {
  return purpose === 'floppy' ? FLOPPY : purpose === 'pflash' ? FLASH : USUAL;
}

/** The protocol driver that a name selects, and whether QEMU is sure to refuse it. */
export function isUnknownProtocol(name: string, knownDrivers: readonly string[]): boolean {
  const { unknownProtocol } = parseFilename(name);
  return unknownProtocol !== undefined && !knownDrivers.includes(unknownProtocol);
}
