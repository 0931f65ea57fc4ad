/** The QEMU version that a line is for. */
import { UsageError } from '../frame/usage-error.ts';

/** The newest that the rules know. */
export const DEFAULT_VERSION = '10.2';

/** `major.minor` of `--qemu`; a third number is left out. Throws UsageError. */
export function parseVersion(text: string | undefined): string {
  if (text === undefined) return DEFAULT_VERSION;
  const match = /^(\d+\.\d+)(?:\.\d+)?$/.exec(text);
  if (match !== null) return match[1];
  throw new UsageError(`option '--qemu' cannot be '${text}': expected a version such as ${DEFAULT_VERSION}`);
}
