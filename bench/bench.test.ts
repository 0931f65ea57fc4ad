import { expect, it } from 'vitest';
import { format, median, ratio, type BenchLine } from './bench.ts';

const line: BenchLine = {
  what: 'randread 4k',
  ours: 3000,
  theirs: 1500,
  peer: 'qemu-img bench',
  unit: 'MiB/s',
  better: 'higher',
};

it('counts how many times as good as the peer it is, whichever way is better', () => {
  expect(ratio(line)).toBe(2);
  expect(ratio({ ours: 10, theirs: 40, better: 'lower' })).toBe(4);
  expect(ratio({ ours: 40, theirs: 10, better: 'lower' })).toBe(0.25);
});

it('prints one line with both figures', () => {
  expect(format('qcow2', line)).toBe(
    'qcow2: randread 4k: 3,000 MiB/s, qemu-img bench 1,500 MiB/s, ratio 2.00',
  );
  expect(format('x', { ...line, ours: 0.123456, theirs: 12.3456 })).toContain(
    ': 0.1235 MiB/s, qemu-img bench 12.35 MiB/s',
  );
});

it('says how the time of the processor compares, where that was measured', () => {
  expect(format('qcow2', { ...line, cpu: { ours: 0.5, theirs: 0.25 } })).toMatch(
    /, ratio 2\.00 \(processor's time 0\.50\)$/,
  );
});

it('takes the middle of several runs', () => {
  expect(median([9, 1, 2])).toBe(2);
  expect(median([10, 1, 2, 4])).toBe(3);
});
