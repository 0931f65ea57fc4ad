/** The options of `platter convert`: those of `qemu-img convert`, and --follow. */
import type { OptionSpecs } from '../frame/command.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, SHARE_OPTION } from '../commands/shared.ts';
import { IMAGE_OPTS_OPTION } from '../image-opts/named-image.ts';

/** What `-t` and `-T` may say; the page cache is used in any case. */
const CACHE_MODES = ['none', 'writeback', 'unsafe', 'directsync', 'writethrough'] as const;

export const CONVERT_OPTIONS = {
  ...FORMAT_OPTION,
  ...IMAGE_OPTS_OPTION,
  'target-image-opts': { kind: 'flag', help: 'with -n: TARGET is such options, too' },
  target: { kind: 'text', short: 'O', value: 'FMT', help: "the target's format (default raw)" },
  options: {
    kind: 'list',
    short: 'o',
    value: 'KEY=VALUE,…',
    help: 'options of the target: cluster_size=128k,lazy_refcounts=on; help lists them',
  },
  compress: { kind: 'flag', short: 'c', help: 'compressed clusters (qcow2, vmdk)' },
  snapshot: { kind: 'text', short: 'l', value: 'NAME', help: 'the disk as an internal snapshot keeps it' },
  backing: {
    kind: 'text',
    short: 'B',
    value: 'FILE',
    help: "the target's backing file: it must show what the source's own shows. Only what lies over it is copied",
  },
  'backing-format': { kind: 'text', short: 'F', value: 'FMT', help: 'the format of that backing file' },
  'no-create': {
    kind: 'flag',
    short: 'n',
    help: 'write into a target that is there, in place: what fails half-way leaves it half-written',
  },
  'target-is-zero': { kind: 'flag', help: 'with -n: the target reads as zeroes already' },
  sparse: {
    kind: 'text',
    short: 'S',
    value: 'BYTES',
    help: 'runs of this many zero bytes are left out (default 4k); 0 writes everything',
  },
  bitmaps: { kind: 'flag', help: 'copy the persistent bitmaps of a qcow2 source, too' },
  'skip-broken-bitmaps': { kind: 'flag', help: 'with --bitmaps: leave out those that cannot be trusted' },
  salvage: { kind: 'flag', help: 'what cannot be read becomes zeroes, and is told of' },
  'rate-limit': { kind: 'text', short: 'r', value: 'BYTES', help: 'bytes a second at most' },
  ...FOLLOW_OPTION,
  progress: { kind: 'flag', short: 'p', help: 'show how far it is' },
  quiet: { kind: 'flag', short: 'q', help: 'say nothing beside errors' },
  coroutines: {
    kind: 'text',
    short: 'm',
    value: 'COUNT',
    help: 'accepted for scripts: how much is under way at once is decided here',
  },
  'out-of-order': { kind: 'flag', short: 'W', help: 'accepted for scripts, and of no consequence' },
  'copy-range': { kind: 'flag', short: 'C', help: 'accepted for scripts, and of no consequence' },
  cache: {
    kind: 'text',
    short: 't',
    value: 'MODE',
    choices: CACHE_MODES,
    help: 'accepted for scripts: the target is on stable storage at the end in any mode',
  },
  'source-cache': {
    kind: 'text',
    short: 'T',
    value: 'MODE',
    choices: CACHE_MODES,
    help: 'accepted for scripts',
  },
  ...SHARE_OPTION,
} as const satisfies OptionSpecs;
