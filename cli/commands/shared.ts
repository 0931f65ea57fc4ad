/** Options that several commands have. */
import type { OptionSpecs } from '../frame/command.ts';

export const FORMAT_OPTION = {
  format: { kind: 'text', short: 'f', value: 'FMT', help: "the image's format; found out when left out" },
} as const satisfies OptionSpecs;

export const OUTPUT_OPTIONS = {
  json: { kind: 'flag', help: 'print JSON' },
  output: { kind: 'text', value: 'OFMT', choices: ['human', 'json'], help: 'the same, as qemu-img has it' },
} as const satisfies OptionSpecs;

export const FOLLOW_OPTION = {
  follow: { kind: 'flag', help: 'open the files that the image names: its backing file, and so on' },
} as const satisfies OptionSpecs;

export const SHARE_OPTION = {
  'force-share': {
    kind: 'flag',
    short: 'U',
    help: 'read an image that another process has open for writing; what is read may be half of a change',
  },
} as const satisfies OptionSpecs;

/** Of scripts written for qemu-img. Everything goes through the page cache and is on stable storage when the command ends. */
export const CACHE_OPTION = {
  cache: {
    kind: 'text',
    short: 't',
    value: 'MODE',
    choices: ['none', 'writeback', 'writethrough', 'directsync', 'unsafe', 'off'],
    help: 'accepted for scripts that say it to qemu-img; changes nothing',
  },
} as const satisfies OptionSpecs;

/** `--output=human` takes nothing away from `--json`: it only says the default. */
export function wantsJson(values: { json: boolean; output: string | undefined }): boolean {
  return values.json || values.output === 'json';
}
