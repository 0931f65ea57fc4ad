/** fio's words as a workload. */
import type { Workload } from '#contract/settings.ts';
import type { OptionSpecs, Values } from '../frame/command.ts';
import { parseCount, parseSize } from '../frame/numbers.ts';

const DIRECTIONS = ['read', 'write', 'randread', 'randwrite', 'rw', 'randrw'] as const;

export const WORKLOAD_OPTIONS = {
  rw: { kind: 'text', value: 'HOW', choices: DIRECTIONS, help: 'what to do (default randread)' },
  bs: { kind: 'text', value: 'BYTES', help: 'the size of a request (default 4k)' },
  iodepth: { kind: 'text', value: 'N', help: 'requests in flight at a time (default 1)' },
  direct: {
    kind: 'text',
    value: '0|1',
    choices: ['0', '1'],
    help: "1 (default): every request reaches the disk; 0: through the guest's page cache",
  },
  numjobs: {
    kind: 'text',
    value: 'N',
    help: 'programs that do it at once, spread over the virtual CPUs of -smp, each with the queue of its CPU (default 1)',
  },
  'number-ios': {
    kind: 'text',
    value: 'N',
    help: 'requests of each program (default 1000); 0: until Ctrl-C',
  },
  offset: { kind: 'text', value: 'BYTES', help: 'where on the disk the region begins (default 0)' },
  size: { kind: 'text', value: 'BYTES', help: 'the length of the region (default: the rest of the disk)' },
  rwmixread: { kind: 'text', value: 'PERCENT', help: 'how many of rw and randrw are reads (default 50)' },
  fsync: { kind: 'text', value: 'N', help: 'a flush after so many writes (default 0: never)' },
  randseed: {
    kind: 'text',
    value: 'N',
    help: 'seed of the offsets and of the data (default 1): the same seed does the same',
  },
} as const satisfies OptionSpecs;

/** Throws UsageError naming the option. */
export function parseWorkload(values: Values<typeof WORKLOAD_OPTIONS>): Workload {
  return {
    rw: DIRECTIONS.find((name) => name === values.rw) ?? 'randread',
    bs: parseSize(values.bs ?? '4k', '--bs'),
    iodepth: parseCount(values.iodepth ?? '1', '--iodepth', 1, 1024),
    direct: values.direct === '0' ? 0 : 1,
    numjobs: parseCount(values.numjobs ?? '1', '--numjobs', 1, 64),
    numberIos: parseCount(values['number-ios'] ?? '1000', '--number-ios', 0),
    offset: parseSize(values.offset ?? '0', '--offset'),
    size: parseSize(values.size ?? '0', '--size'),
    rwmixread: parseCount(values.rwmixread ?? '50', '--rwmixread', 0, 100),
    seed: parseCount(values.randseed ?? '1', '--randseed', 0),
    fsync: parseCount(values.fsync ?? '0', '--fsync', 0),
  };
}
