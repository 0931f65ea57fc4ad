import { expect, it } from 'vitest';
import { fillText } from './messages.ts';

it('fills in parameters and literal characters', () => {
  expect(fillText("mail {user}{'@'}{host}", { user: 'root', host: 'vm' })).toBe('mail root@vm');
  expect(fillText('no {such} thing', {})).toBe('no {such} thing');
  // What is filled in is not looked at again.
  expect(fillText('{a}', { a: '{b}', b: 'wrong' })).toBe('{b}');
});
