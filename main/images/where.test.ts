import { describe, expect, it } from 'vitest';
import { displayFolder } from './where.ts';

describe('displayFolder', () => {
  it('writes ~ for the home folder, but not for a folder that only begins like it', () => {
    expect(displayFolder('/home/me/a.img', '/home/me')).toBe('~');
    expect(displayFolder('/home/me/vm/a.img', '/home/me')).toBe('~/vm');
    expect(displayFolder('/home/mean/a.img', '/home/me')).toBe('/home/mean');
  });

  it('leaves out the middle of a long folder and keeps its ends', () => {
    const long = '/var/lib/somewhere/with/a/very/long/chain/of/folders/images/a.img';
    const shown = displayFolder(long, '/home/me', 30);
    expect(shown).toMatch(/^\/var\/…\/.*images$/);
    expect(shown.length).toBeLessThanOrEqual(30);
  });
});
