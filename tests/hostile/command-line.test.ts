/** Whatever is pasted: an answer with its place, no exception, nothing that takes for ever. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { complete } from '../../engine/qemu/complete.ts';
import { explainError } from '../../engine/qemu/explain-error.ts';
import { explain } from '../../engine/qemu/explain.ts';
import { hover } from '../../engine/qemu/hover.ts';
import { fixAll, lint } from '../../engine/qemu/lint.ts';
import type { Problem } from '../../engine/qemu/model.ts';
import { parseCommandLine, printCommandLine } from '../../engine/qemu/parse.ts';
import { topology } from '../../engine/qemu/topology.ts';

const context = { version: '10.2' };
const MEGABYTE = 1024 * 1024;

function everything(text: string): Problem[] {
  const line = parseCommandLine(text);
  expect(printCommandLine(line)).toBe(text);
  const problems = lint(line, context);
  for (const { span } of problems) {
    expect(span.start).toBeGreaterThanOrEqual(0);
    expect(span.end).toBeLessThanOrEqual(text.length);
  }
  const { nodes, edges } = topology(line, context, problems);
  const keys = new Set(nodes.map((n) => n.key));
  expect(keys.size).toBe(nodes.length);
  for (const { from, to } of edges) expect([keys.has(from), keys.has(to)]).toEqual([true, true]);
  explain(line);
  return problems;
}

function repeated(piece: string): string {
  return piece.repeat(Math.floor(MEGABYTE / piece.length));
}

describe('a megabyte of', () => {
  it.each([
    ['letters', 'a'],
    ['quotes', '"'],
    ['single quotes', "'"],
    ['backslashes', '\\'],
    ['backquotes', '`'],
    ['opened commands', '$('],
    ['opened variables', '${'],
    ['zero bytes', '\u0000'],
    ['commas', '-device ,'],
    ['drives', '-drive if=none,id=d\n'],
    ['devices without a drive', '-device virtio-blk-pci,drive=x\n'],
    ['unknown options', '-foo '],
    ['file names', 'disk.img '],
    ['typographic dashes', '–drive '],
    ['nodes on themselves', '-blockdev driver=raw,node-name=a,file=a '],
  ])('%s', (_, piece) => {
    everything(repeated(piece));
  });

  it('parameters in one option', () => {
    everything(`-device ${repeated('a=b,')}`);
    everything(`-blockdev driver=raw,${repeated('file.')}x=1`);
  });

  it('nested JSON, with the place where it becomes too deep', () => {
    const problems = everything(`-blockdev '${repeated('{"a":')}'`);
    expect(problems.map((p) => [p.rule, p.params.reason])).toContainEqual(['X05', 'depth']);
  });

  it('an error message', () => {
    explainError(repeated('Property '));
    explainError(repeated("Drive '\n"));
  });
});

describe('damaged lines', () => {
  it.each([
    ['-drive "file=a', 'X01', 7],
    ["-drive 'file=a", 'X01', 7],
    ['-m $(free', 'X01', 3],
    ['-drive', 'X02', 0],
    ['-blockdev \'{"driver":\'', 'X05', 20],
    ['-drive if=none,id=a\u0001b', 'X07', 19],
    ['-device virtio-blk-pci,drive=\u202eb', 'X07', 29],
  ])('%j', (text, rule, start) => {
    expect(everything(text).map((p) => [p.rule, p.span.start])).toContainEqual([rule, start]);
  });

  it('binary garbage and mutilated lines', () => {
    const words = fc.constantFrom(
      '-drive',
      '-device',
      '-blockdev',
      '-object',
      '-M',
      'q35',
      'if=none',
      'id=',
      'd0',
      ',',
      '=',
      'drive=d0',
      'virtio-blk-pci',
      'file=',
      'qcow2',
      'node-name=n',
      'file.driver=',
      '{"',
      '"}',
      "'",
      '"',
      '\\',
      ' ',
      '\n',
      'scsi-hd',
      'bus=',
      'addr=',
      '0x1f.9',
      '-1',
      '99999999999999999999',
      '__proto__',
      'constructor',
      'iothread',
      'backing=',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.array(words, { maxLength: 40 }).map((w) => w.join('')),
      fc.array(words, { maxLength: 40 }).map((w) => w.join(' ')),
    );
    fc.assert(
      fc.property(text, fc.nat(200), (t, at) => {
        everything(t);
        const offset = Math.min(at, t.length);
        complete(t, offset, context);
        hover(parseCommandLine(t), offset, context);
        fixAll(t, context);
        explainError(t);
      }),
      { numRuns: 1500 },
    );
  });
});
