import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCommandLine, printCommandLine } from './parse.ts';

const values = (text: string): Record<string, string> =>
  Object.fromEntries(parseCommandLine(text).options[0].params.map((p) => [p.key, p.value]));

describe('shell words', () => {
  it('reads quotes, escapes and continuations as a shell does, and keeps every place', () => {
    const text = `qemu-system-x86_64 -drive 'file=/a b.img',if="none",id=d\\0 \\\n  -m 2G # done\n`;
    const line = parseCommandLine(text);
    expect(line.program).toBe('qemu-system-x86_64');
    expect(line.options.map((o) => o.name)).toEqual(['drive', 'm']);
    expect(
      line.options[0].params.map((p) => [p.key, p.value, text.slice(p.valueSpan.start, p.valueSpan.end)]),
    ).toEqual([
      ['file', '/a b.img', '/a b.img'],
      ['if', 'none', 'none'],
      ['id', 'd0', 'd\\0'],
    ]);
    expect(line.comments.map((s) => text.slice(s.start, s.end))).toEqual(['# done']);
    expect(line.problems).toEqual([]);
  });

  it('leaves variables and commands alone and marks them', () => {
    const text = 'qemu-system-x86_64 -drive file=$IMG,id=d0 -m "${MEM:-2G}" -name $(hostname -s),x=`id`';
    const line = parseCommandLine(text);
    expect(line.variables.map((s) => text.slice(s.start, s.end))).toEqual([
      '$IMG',
      '${MEM:-2G}',
      '$(hostname -s)',
      '`id`',
    ]);
    expect(line.options[0].params.map((p) => p.variable === true)).toEqual([true, false]);
    expect(line.options.map((o) => o.argument)).toEqual([
      'file=$IMG,id=d0',
      '${MEM:-2G}',
      '$(hostname -s),x=`id`',
    ]);
  });

  it('says where a quote is left open', () => {
    const { problems } = parseCommandLine(`-drive "file=a.img,id=d0`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ rule: 'X01', span: { start: 7, end: 8 } });
  });

  it('finds a backslash with blanks behind it', () => {
    const text = '-m 1G \\ \n-nodefaults';
    const line = parseCommandLine(text);
    expect(line.problems.map((p) => p.rule)).toEqual(['X04']);
    expect(line.options.map((o) => o.name)).toEqual(['m', 'nodefaults']);
  });

  it('takes only the qemu command out of several', () => {
    const line = parseCommandLine(
      'qemu-img create -f qcow2 a.qcow2 1G && qemu-system-x86_64 -hda a.qcow2 > log &',
    );
    expect(line.options.map((o) => [o.name, o.argument])).toEqual([['hda', 'a.qcow2']]);
    expect(line.problems).toEqual([]);
  });
});

describe('parameters', () => {
  it('doubles commas, implied keys and short booleans', () => {
    expect(values('-drive file=a,,b.img,readonly,nosnapshot')).toEqual({
      file: 'a,b.img',
      readonly: 'on',
      snapshot: 'off',
    });
    expect(values('-device virtio-blk-pci,drive=d0')).toEqual({ driver: 'virtio-blk-pci', drive: 'd0' });
  });

  it('flattens JSON and keeps the places through the quotes', () => {
    const text = `-blockdev '{"driver":"qcow2","file":{"driver":"file","filename":"/a \\"b\\".img"},"read-only":true}'`;
    const { params } = parseCommandLine(text).options[0];
    expect(params.map((p) => [p.key, p.value, p.json])).toEqual([
      ['driver', 'qcow2', 'string'],
      ['file.driver', 'file', 'string'],
      ['file.filename', '/a "b".img', 'string'],
      ['read-only', 'on', 'boolean'],
    ]);
    expect(text.slice(params[2].span.start, params[2].span.end)).toBe('"filename":"/a \\"b\\".img"');
  });

  it('gives spelling help for an unknown option', () => {
    const { problems } = parseCommandLine('-drvie file=a.img,id=d0');
    expect(problems[0]).toMatchObject({ rule: 'X03', params: { option: 'drvie' } });
    expect(problems[0].fixes[0].edits[0].text).toBe('-drive');
  });
});

describe('any text', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '-drive ',
      '-device ',
      'file=',
      ',',
      '"',
      "'",
      '\\',
      '\n',
      '$',
      '$(',
      '`',
      '{',
      '}',
      '#',
      ' ',
      '\u0000',
      '–',
      ',,',
    ),
    fc.string({ maxLength: 8 }),
  );
  it('is printed as it was, with spans inside the text and in order', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('');
        const line = parseCommandLine(text);
        expect(printCommandLine(line)).toBe(text);
        let at = 0;
        for (const option of line.options) {
          expect(option.span.start).toBeGreaterThanOrEqual(at);
          at = option.span.end;
          for (const p of option.params) {
            for (const s of [p.span, p.keySpan, p.valueSpan]) {
              expect(s.start).toBeGreaterThanOrEqual(option.span.start);
              expect(s.end).toBeLessThanOrEqual(option.span.end);
              expect(s.end).toBeGreaterThanOrEqual(s.start);
            }
          }
        }
        for (const problem of line.problems) expect(problem.span.end).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 500 },
    );
  });
});
