import { describe, expect, it } from 'vitest';
import { ByteCache, CHUNK } from './bytes.ts';

const tick = () => new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));

describe('ByteCache', () => {
  it('asks for each chunk once, never past the end, and hands out its bytes', async () => {
    const asked: [number, number][] = [];
    const size = CHUNK + 10;
    const cache = new ByteCache(size, async (offset, length) => {
      asked.push([offset, length]);
      return new Uint8Array(length).fill(offset === 0 ? 1 : 2);
    });
    expect(cache.slice(CHUNK - 2, 4)).toBeNull();
    cache.at(CHUNK + 1);
    await tick();
    expect([...(cache.slice(CHUNK - 2, 4) ?? [])]).toEqual([1, 1, 2, 2]);
    expect(cache.slice(size - 3, 16)?.length).toBe(3);
    expect(cache.at(size + CHUNK)).toBe(-1);
    expect(asked).toEqual([
      [0, CHUNK],
      [CHUNK, 10],
    ]);
  });

  it('forgets the oldest chunks', async () => {
    const cache = new ByteCache(CHUNK * 100, async (_, length) => new Uint8Array(length));
    for (let i = 0; i < 65; i += 1) cache.at(i * CHUNK);
    await tick();
    expect(cache.at(64 * CHUNK)).toBe(0);
    expect(cache.at(0)).toBe(-1);
  });

  it('keeps the error of a failed read and does not repeat it', async () => {
    let reads = 0;
    const cache = new ByteCache(10, async () => {
      reads += 1;
      throw new Error('gone');
    });
    cache.at(0);
    await tick();
    cache.at(0);
    expect(cache.state.error?.message).toBe('gone');
    expect(reads).toBe(1);
  });
});
