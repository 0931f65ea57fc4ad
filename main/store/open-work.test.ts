import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { sessionSchema } from '#contract/settings.ts';
import { openWorkSchema, withNewHandles } from './open-work.ts';

describe('open work', () => {
  it('is empty where nothing was kept', () => {
    expect(v.parse(openWorkSchema, {})).toEqual({ session: v.parse(sessionSchema, {}), files: [] });
  });

  it('gives bindings and the selection the handles of this run, and drops those of files that are gone', () => {
    const session = v.parse(sessionSchema, {
      line: '-drive id=d0',
      bindings: [
        { driveId: 'd0', image: 'old-a', mode: 'overlay' },
        { driveId: 'd1', image: 'old-b', mode: 'read-only' },
      ],
      selectedImage: 'old-b',
    });
    const moved = withNewHandles(session, new Map([['old-a', 'new-a']]));
    expect(moved.line).toBe('-drive id=d0');
    expect(moved.bindings).toEqual([{ driveId: 'd0', image: 'new-a', mode: 'overlay' }]);
    expect(moved.selectedImage).toBeNull();
    expect(withNewHandles(session, new Map([['old-b', 'new-b']])).selectedImage).toBe('new-b');
  });
});
