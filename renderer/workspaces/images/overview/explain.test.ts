import { expect, it } from 'vitest';
import { explainField } from './explain.ts';

it('explains fields of every format, with sizes worked out and prefixes left off', () => {
  const says = (format: string, name: string, value: string) => explainField({ format }, { name, value });
  expect(says('vdi', 'block_size', '1048576')).toBe('A block is 1 MiB.');
  expect(says('vpc', 'dynamic.block_size', '2097152')).toBe('A block is 2 MiB.');
  expect(says('vhdx', 'header.log_length', '1048576')).toBe('The log is 1 MiB.');
  expect(says('qcow2', 'cluster_bits', '16')).toContain('64 KiB');
  expect(says('qcow2', 'nothing', '1')).toBe('');
});
