import { describe, expect, it } from 'vitest';
import type { AttachedImage } from '#contract/images.ts';
import { health } from './health.ts';

const info = {
  name: 'disk.qcow2',
  format: 'qcow2',
  virtualSize: 1 << 20,
  fileSize: 1 << 18,
  dirty: true,
  readOnly: true,
  encrypted: false,
  compressed: false,
  snapshots: [],
  formatSpecific: {},
  header: [],
};
const image: AttachedImage = {
  handle: 'img-1',
  name: 'disk.qcow2',
  where: '~',
  process: 'running',
  opening: 1,
  info,
};

describe('the health of an image', () => {
  it('names who writes to it before it blames a mark in the header, which a writer sets', () => {
    expect(health(image).key).toBe('images.health.dirty');
    const held = health({ ...image, info: { ...info, writers: ['qemu-system-x86, pid 4711'] } });
    expect(held).toMatchObject({ tone: 'warn', key: 'holders.writing' });
    expect(held.params).toEqual({ who: 'qemu-system-x86, pid 4711' });
  });

  it('waits calmly for its turn, and says when the file is not the one any more that was opened', () => {
    expect(health({ ...image, info: undefined, process: 'waiting' }).tone).toBe('unknown');
    expect(health({ ...image, process: 'resting' }).key).toBe(health(image).key);
    expect(health({ ...image, stale: 'gone' })).toEqual({ tone: 'bad', key: 'images.health.gone' });
    expect(health({ ...image, stale: 'replaced' }).tone).toBe('warn');
  });

  it('puts damage first', () => {
    const corrupt = { ...info, writers: ['x'], formatSpecific: { corrupt: true } };
    expect(health({ ...image, info: corrupt }).key).toBe('images.health.corrupt');
  });
});
