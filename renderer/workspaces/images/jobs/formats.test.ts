import { describe, expect, it } from 'vitest';
import { neededOptions, suggestedName, targetFormat } from './formats.ts';

describe('the options that the forms offer', () => {
  it('leave out what counts anyway and what means nothing', () => {
    const { options } = targetFormat('qcow2');
    expect(neededOptions(options, { cluster_size: 65536, compat: '1.1', lazy_refcounts: true })).toEqual({
      lazy_refcounts: true,
    });
    expect(neededOptions(options, { compat: '0.10', lazy_refcounts: true })).toEqual({ compat: '0.10' });
    expect(neededOptions(options, { compression_type: 'zstd' })).toEqual({});
    expect(neededOptions(options, { compression_type: 'zstd', preallocation: 'full' }, true)).toEqual({
      compression_type: 'zstd',
    });
  });
});

describe('suggestedName', () => {
  it('changes the ending and never names the source itself', () => {
    expect(suggestedName('disk.qcow2', 'vhdx')).toBe('disk.vhdx');
    expect(suggestedName('disk.qcow2', 'qcow2')).toBe('disk-copy.qcow2');
    expect(suggestedName('disk', 'img')).toBe('disk.img');
    expect(suggestedName('.hidden', 'img')).toBe('.hidden.img');
  });
});
