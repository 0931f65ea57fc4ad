import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noise, same } from '../testing/bytes.ts';
import { testFolder } from '../testing/qemu.ts';
import { fileError } from './file-error.ts';
import { openFile } from './file.ts';
import { MemoryStorage } from './memory.ts';
import type { Storage } from './storage.ts';

const at = testFolder();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

describe('opening a file', () => {
  it('says what is wrong with it', () => {
    mkdirSync(at('folder'));
    writeFileSync(at('target'), 'x');
    symlinkSync(at('target'), at('link'));
    execFileSync('mkfifo', [at('pipe')]);
    expect(() => openFile(at('missing'))).toThrow(code('storage.not-found'));
    expect(() => openFile(at('target/below'))).toThrow(code('storage.not-found'));
    expect(() => openFile(at('folder'))).toThrow(code('storage.is-directory'));
    expect(() => openFile(at('folder'), { readOnly: false })).toThrow(code('storage.is-directory'));
    expect(() => openFile(at('pipe'))).toThrow(code('storage.not-a-file'));
    expect(() => openFile('/dev/null')).toThrow(code('storage.not-a-file'));
    expect(() => openFile(at('link'), { noFollow: true })).toThrow(code('storage.symlink'));
    expect(() => openFile('a\0b')).toThrow(code('storage.bad-path'));
    expect(() => openFile(at('target'), { create: true })).toThrow(code('storage.exists'));
    openFile(at('link')).close();
  });

  it('says when permission lacks', (context) => {
    if (process.getuid?.() === 0)
      context.skip('root may open everything; the next test covers the translation');
    writeFileSync(at('secret'), 'x');
    chmodSync(at('secret'), 0);
    expect(() => openFile(at('secret'))).toThrow(code('storage.permission'));
  });

  it('translates what the system says, and keeps its name for it', () => {
    const system = (errno: string): Error => Object.assign(new Error(errno), { code: errno });
    expect(fileError(system('EACCES'), 'a', 'open')).toEqual(code('storage.permission'));
    expect(fileError(system('ENOSPC'), 'a', 'write', 7)).toMatchObject({
      code: 'storage.no-space',
      context: { offset: 7, errno: 'ENOSPC', image: 'a' },
    });
    expect(fileError(system('EWHATEVER'), 'a', 'read')).toEqual(code('storage.failed'));
  });

  it('never writes what is open read-only', () => {
    writeFileSync(at('fixed'), 'abc');
    const storage = openFile(at('fixed'));
    expect(() => storage.write(0, Uint8Array.of(1))).toThrow(code('storage.read-only'));
    expect(() => storage.truncate(0)).toThrow(code('storage.read-only'));
    expect(() => storage.writeZeroes(0, 1)).toThrow(code('storage.read-only'));
    storage.close();
    expect(readFileSync(at('fixed'), 'utf8')).toBe('abc');
  });

  it('says at which byte a file ends that shrinks while it is read', () => {
    writeFileSync(at('shrinks'), noise(10_000, 1));
    const storage = openFile(at('shrinks'));
    truncateSync(at('shrinks'), 1_234);
    expect(() => storage.read(0, new Uint8Array(10_000))).toThrow(
      expect.objectContaining({
        code: 'storage.short-read',
        context: expect.objectContaining({ offset: 1_234, image: 'shrinks' }),
      }),
    );
    storage.close();
  });

  it('knows what a file occupies, and that one which occupies nothing is a hole', () => {
    const storage = openFile(at('sparse'), { create: true });
    storage.truncate(1 << 30);
    expect(storage.size()).toBe(1 << 30);
    expect(storage.allocatedSize()).toBe(0);
    expect(storage.extentAt(0, 1 << 30)).toEqual({ offset: 0, length: 1 << 30, kind: 'hole' });
    storage.write(5, noise(100_000, 2));
    storage.flush();
    const blocks = Number(execFileSync('stat', ['-c', '%b', at('sparse')], { encoding: 'utf8' }));
    expect(storage.allocatedSize()).toBe(blocks * 512);
    expect(storage.extentAt(0, 10).kind).toBe('data');
    storage.close();
  });
});

describe('every storage behaves like bytes in a row', () => {
  let count = 0;
  const kinds: [string, () => Storage][] = [
    ['memory', () => new MemoryStorage()],
    ['file', () => openFile(at(`property-${count++}`), { create: true })],
  ];
  const size = fc.nat({ max: 300_000 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), offset: size, length: fc.nat({ max: 150_000 }) }),
    fc.record({ kind: fc.constant('zero' as const), offset: size, length: fc.nat({ max: 150_000 }) }),
    fc.record({ kind: fc.constant('truncate' as const), offset: size, length: fc.constant(0) }),
  );

  it.each(kinds)('%s', (_, make) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const storage = make();
        let model = new Uint8Array(0);
        steps.forEach(({ kind, offset, length }, index) => {
          const end = kind === 'truncate' ? offset : Math.max(model.length, offset + length);
          const next = new Uint8Array(end);
          next.set(model.subarray(0, end));
          const bytes = kind === 'write' ? noise(length, index) : new Uint8Array(length);
          next.set(bytes, kind === 'truncate' ? end : offset);
          model = next;
          if (kind === 'write') void storage.write(offset, bytes);
          else if (kind === 'zero') void storage.writeZeroes(offset, length);
          else void storage.truncate(offset);
        });
        const length = storage.size();
        // Writing nothing past the end may or may not grow a storage; the bytes are what counts.
        const got = new Uint8Array(Math.min(model.length, Number(length)));
        void storage.read(0, got);
        void storage.close();
        return (
          same(got, model.subarray(0, got.length)) &&
          (length === model.length || steps.some((one) => one.length === 0))
        );
      }),
      { numRuns: 60 },
    );
  });

  it('memory is bounded', () => {
    const storage = new MemoryStorage(1e12, { limit: 1 << 20 });
    storage.write(5e11, noise(1000, 1));
    expect(() => storage.write(0, new Uint8Array(2 << 20))).toThrow(code('storage.no-space'));
    expect(() => storage.read(1e12, new Uint8Array(1))).toThrow(code('storage.short-read'));
    expect(storage.extentAt(5e11, 1e6).kind).toBe('data');
    expect(storage.extentAt(1e11, 1e6)).toEqual({ offset: 1e11, length: 1e6, kind: 'hole' });
  });
});
