import { describe, expect, it } from 'vitest';
import { defineCommand } from './command.ts';
import { parseArguments } from './arguments.ts';

const command = defineCommand({
  name: 'demo',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help: '',
  options: {
    format: { kind: 'text', short: 'f', value: 'FMT', help: '' },
    output: { kind: 'text', value: 'OFMT', choices: ['human', 'json'], help: '' },
    option: { kind: 'list', short: 'o', value: 'KEY=VALUE', help: '' },
    json: { kind: 'flag', help: '' },
  },
  examples: [],
  exitCodes: [],
  run: async () => 0,
});
const parse = (...words: string[]) => parseArguments(command, words);

describe('what is understood', () => {
  it('takes options in every spelling and in any order', () => {
    expect(parse('-f', 'raw', '--output=json', 'a.img', '--json').values).toEqual({
      format: 'raw',
      output: 'json',
      option: [],
      json: true,
    });
    expect(parse('a.img', '-fraw', '-o', 'a=1', '-ob=2').values).toMatchObject({
      format: 'raw',
      option: ['a=1', 'b=2'],
    });
  });
  it('takes everything behind -- as operands, and - as one', () => {
    expect(parse('--', '--json').operands).toEqual(['--json']);
    expect(parse('-').operands).toEqual(['-']);
  });
  it('lets the last of two count', () =>
    expect(parse('-f', 'raw', '-f', 'qcow2', 'a').values.format).toBe('qcow2'));
  it('does not ask for operands when help is wanted', () => expect(parse('--help').help).toBe(true));
});

describe('what is refused', () => {
  it.each([
    [['--jsom', 'a'], "unknown option '--jsom'; did you mean '--json'?"],
    [['--frobnicate', 'a'], "unknown option '--frobnicate'"],
    [['-x', 'a'], "unknown option '-x'"],
    // A name that every object has is no option.
    [['--constructor', 'a'], "unknown option '--constructor'"],
    [['a', '--format'], "option '--format' needs a value: --format FMT"],
    [['--json=yes', 'a'], "option '--json' takes no value"],
    [
      ['--output=jsn', 'a'],
      "option '--output' cannot be 'jsn': it is one of human, json; did you mean 'json'?",
    ],
    [[], 'expected IMAGE, got nothing'],
    [['a', 'b'], "expected IMAGE, got 'a' 'b'"],
  ])('%j', (words, message) => {
    expect(() => parse(...words)).toThrow(message);
  });
});
