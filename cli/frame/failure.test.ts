import { expect, it } from 'vitest';
import { PlatterError } from '#engine/errors.ts';
import { failureText } from './failure.ts';

it('names the file as it was given, once', () => {
  const error = new PlatterError('x.y', '"disk.img" is a directory', { image: 'disk.img' });
  expect(failureText(error, 'sub/disk.img')).toBe('platter: sub/disk.img: "disk.img" is a directory\n');
  expect(failureText(error)).toBe('platter: "disk.img" is a directory\n');
});

it('adds the field, the offset and the option that the message leaves out, and the hint', () => {
  const error = new PlatterError('x.y', 'the header is wrong', {
    field: 'l1_size',
    offset: 36,
    option: '--fast',
    hint: 'Check it.',
  });
  expect(failureText(error, 'a')).toBe(
    'platter: a: the header is wrong (field l1_size, offset 36, option --fast)\n  Check it.\n',
  );
});

it('names our option when the gate stood in the way', () => {
  expect(failureText(new PlatterError('gate.denied', 'no', { hint: 'Allow it.' }))).toContain('--follow');
});

it('passes on any other error', () => {
  expect(failureText(new TypeError('boom'))).toBe('platter: boom\n');
});
