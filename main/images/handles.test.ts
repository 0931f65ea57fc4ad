import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { calls } from '#contract/calls.ts';
import { Handles, newHandle } from './handles.ts';

describe('Handles', () => {
  it('makes handles that the contract accepts, and that say nothing of the path', () => {
    const handle = new Handles().give('/secret/disk.qcow2');
    expect(v.safeParse(calls['images.detach'].args, [handle]).success).toBe(true);
    expect(v.safeParse(calls['lab.run'].args, [newHandle('lab')]).success).toBe(true);
    expect(handle).not.toContain('disk');
  });

  it('gives one handle for one path while it is attached, and a new one after it was forgotten', () => {
    const handles = new Handles();
    const first = handles.give('/a');
    expect(handles.give('/a')).toBe(first);
    expect(handles.give('/b')).not.toBe(first);
    expect(handles.path(first)).toBe('/a');
    handles.forget(first);
    expect(handles.has('/a')).toBe(false);
    expect(() => handles.path(first)).toThrowError(expect.objectContaining({ code: 'image.unknown-handle' }));
    expect(handles.give('/a')).not.toBe(first);
  });

  it('never takes a path for a handle', () => {
    const handles = new Handles();
    handles.give('/etc/passwd');
    expect(() => handles.path('/etc/passwd')).toThrowError(
      expect.objectContaining({ code: 'image.unknown-handle' }),
    );
  });
});
