import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { saveLines } from './save-trace.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-trace-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('saveLines', () => {
  it('writes every line once, over several chunks, and leaves no temporary file', () => {
    const path = join(folder, 'trace.jsonl');
    const lines = Array.from({ length: 40_000 }, (_, i) => JSON.stringify({ n: i, text: 'x'.repeat(60) }));
    saveLines(path, lines);
    expect(readFileSync(path, 'utf8')).toBe(`${lines.join('\n')}\n`);
    expect(readdirSync(folder)).toEqual(['trace.jsonl']);
  });

  it('leaves an older file as it was when it fails half way', () => {
    const path = join(folder, 'trace.jsonl');
    writeFileSync(path, 'older');
    function* failing(): Generator<string> {
      yield 'one';
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }
    expect(() => saveLines(path, failing())).toThrowError(
      expect.objectContaining({
        code: 'trace.save-failed',
        context: { value: 'trace.jsonl', errno: 'ENOSPC' },
      }),
    );
    expect(readFileSync(path, 'utf8')).toBe('older');
    expect(readdirSync(folder)).toEqual(['trace.jsonl']);
  });

  it('names the file and the reason when it cannot be written', () => {
    const path = join(folder, 'taken');
    mkdirSync(path);
    expect(() => saveLines(path, ['x'])).toThrowError(expect.objectContaining({ code: 'trace.save-failed' }));
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});
