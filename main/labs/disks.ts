/** The disks of a command line, as the page lists them before there is a lab. */
import type { LineDiskInfo } from '#contract/lab.ts';
import type { ConfigFile } from '#contract/settings.ts';
import { toPlainError } from '#engine/errors.ts';
import { lineDisks } from '#engine/lab/disks.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';

export function disksOf(text: string, configs: readonly ConfigFile[]): LineDiskInfo[] {
  const line = parseCommandLine(text, new Map(configs.map(({ name, text: file }) => [name, file])));
  return lineDisks(line).map(({ label, drive, error }) => ({
    label,
    drive: drive ?? null,
    error: error === undefined ? null : toPlainError(error),
  }));
}
