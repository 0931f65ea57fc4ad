import { expect, it } from 'vitest';
import type { DetailField } from '#contract/lab-details.ts';
import { fieldIndex } from './details.ts';

const row = (name: string, value = 0): DetailField => ({
  name,
  value,
  level: 0,
  bytes: 2,
  as: 'hex',
  text: '',
  meaning: '',
  source: '',
  place: null,
  tone: 'plain',
  request: 0,
});

it('finds a field by its name, behind the row that selects its queue, and the first one when there is none', () => {
  const fields = [
    row('num_queues'),
    row('queue_select', 0),
    row('queue_desc'),
    row('queue_select', 1),
    row('queue_desc'),
  ];
  expect(fieldIndex(fields, { field: 'queue_desc' })).toBe(2);
  expect(fieldIndex(fields, { field: 'queue_desc', queue: 1 })).toBe(4);
  expect(fieldIndex(fields, { field: 'queue_desc', queue: 7 })).toBe(2);
  expect(fieldIndex(fields, { field: 'nothing' })).toBe(0);
  expect(fieldIndex(fields, {})).toBe(0);
});
