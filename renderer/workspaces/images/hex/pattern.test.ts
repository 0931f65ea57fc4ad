import { expect, it } from 'vitest';
import { patternDigits } from './pattern.ts';

it('reads bytes and both encodings of text, and nothing else', () => {
  expect(patternDigits('51 46 49 FB', 'hex')).toBe('514649fb');
  expect(patternDigits('0x51 0x46', 'hex')).toBe('5146');
  expect(patternDigits('5', 'hex')).toBeNull();
  expect(patternDigits('xy', 'hex')).toBeNull();
  expect(patternDigits('', 'utf8')).toBeNull();
  expect(patternDigits('ä盘', 'utf8')).toBe('c3a4e79b98');
  expect(patternDigits('A盘', 'utf16')).toBe('4100d876');
  expect(patternDigits('a'.repeat(1025), 'utf8')).toBeNull();
});
