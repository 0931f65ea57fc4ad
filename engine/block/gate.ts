/**
 * The gate: it is asked before any file that an image *names* (a backing file, an external data file, a VMDK extent, a differencing
 * parent) is touched. The interface's gate asks the person; the command line's needs a flag; tests deny.
 * (CVE-2015-5163, CVE-2024-32498: `convert` of an untrusted qcow2 copied any file of the host out.)
 */
import type { Maybe } from '../maybe.ts';

export interface GateRequest {
  /** The display name of the image that names the file. */
  image: string;
  /** Why it is wanted. */
  role: 'backing' | 'data-file' | 'extent' | 'parent';
  /** The reference as it stands in the image, untouched. */
  reference: string;
  /** The absolute path or URL that it resolves to. */
  resolved: string;
  /** The format that the image claims for it, or undefined when it would have to be probed. */
  format?: string;
  /** How deep in the chain: 1 for a file that the opened image itself names. */
  depth: number;
}

export interface Gate {
  /** `true` allows opening it read-only. Anything else (a throw included) denies. */
  allow(request: GateRequest): Maybe<boolean>;
}

/** Denies everything: the default everywhere. */
export const denyAll: Gate = { allow: () => false };
/** Allows everything: only after a person said so (`--follow` of the command-line program). */
export const allowAll: Gate = { allow: () => true };
