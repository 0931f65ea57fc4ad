/** What the present line can be turned into. */
import { toBlockdev } from '#engine/qemu/convert/blockdev.ts';
import { toLongOptions } from '#engine/qemu/convert/long.ts';
import type { Conversion } from '#engine/qemu/convert/notes.ts';
import { toScript } from '#engine/qemu/convert/script.ts';
import type { CommandLine } from '#engine/qemu/model.ts';

export const TARGETS = ['blockdev', 'long', 'script'] as const;
export type Target = (typeof TARGETS)[number];

/** Results that are command lines again and can take the present one's place. */
export const LINES: ReadonlySet<Target> = new Set<Target>(['blockdev', 'long']);

const CONVERT: Record<Target, (line: CommandLine) => Conversion> = {
  blockdev: toBlockdev,
  long: toLongOptions,
  script: toScript,
};

export function convert(line: CommandLine, target: Target): Conversion {
  return CONVERT[target](line);
}
