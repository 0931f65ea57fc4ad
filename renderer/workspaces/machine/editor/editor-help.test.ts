import { CompletionContext } from '@codemirror/autocomplete';
import { EditorState } from '@codemirror/state';
import { describe, expect, it } from 'vitest';
import { applyEdits } from '#engine/qemu/edit.ts';
import { hover } from '#engine/qemu/hover.ts';
import type { LintContext } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { completionSource } from './completion.ts';
import { foldable } from './folding.ts';
import { helpRows } from './hover-help.ts';
import { tidyEdits } from './tidy.ts';

const context: LintContext = {
  version: '7.2',
  files: new Map([['vm.qcow2', { format: 'qcow2', virtualSize: 1 }]]),
};
const offers = (text: string, explicit = true) => {
  const state = EditorState.create({ doc: text });
  const source = completionSource({ context: () => context, detail: (detail) => detail });
  return source(new CompletionContext(state, text.length, explicit));
};
const tidy = (text: string) => applyEdits(text, tidyEdits(parseCommandLine(text)));

describe('completion in the editor', () => {
  it('replaces what has been typed with names of the line, properties and attached files', () => {
    const drive = offers('-drive if=none,id=d0,file=a -device virtio-blk-pci,drive=d');
    expect(drive?.options.map((option) => option.label)).toContain('d0');
    expect(drive?.from).toBe('-drive if=none,id=d0,file=a -device virtio-blk-pci,drive='.length);
    const key = offers('-device virtio-blk-pci,queue');
    expect(key?.options.find((option) => option.label === 'queue-size')?.apply).toBe('queue-size=');
    expect(offers('-drive file=')?.options.map((option) => option.label)).toContain('vm.qcow2');
  });

  it('does not ask for attention where nothing was begun', () => {
    expect(offers('-device virtio-blk-pci ', false)).toBeNull();
    expect(offers('-device virtio-blk-pci,', false)?.options.length).toBeGreaterThan(20);
  });
});

describe('help under the pointer', () => {
  it('has type, default and values', () => {
    const line = parseCommandLine('-device virtio-blk-pci,queue-size=64');
    const help = hover(line, 26, context);
    expect(help).toBeDefined();
    const rows =
      help === undefined
        ? []
        : helpRows(help, (key, params) => `${key} ${Object.values(params ?? {}).join()}`);
    expect(rows[0]).toEqual({ kind: 'code', text: 'virtio-blk-pci.queue-size' });
    expect(rows[1].text).toContain('machine.help.default 256');
  });
});

describe('formatting', () => {
  it('puts each option on its own line and is quiet the second time', () => {
    const once = tidy(' qemu-system-x86_64   -machine q35 -m 1G -drive file=a,if=none \\\n\n -nodefaults  ');
    expect(once).toBe(
      'qemu-system-x86_64 \\\n  -machine q35 \\\n  -m 1G \\\n  -drive file=a,if=none \\\n  -nodefaults',
    );
    expect(tidy(once)).toBe(once);
    expect(tidy('-m 1G -snapshot')).toBe('-m 1G \\\n  -snapshot');
  });

  it('changes nothing but blanks', () => {
    const text = `-m 1G # memory\n-drive 'file=a b,if=none' $MORE -snapshot`;
    expect(tidy(text).replaceAll(/[\s\\]/g, '')).toBe(text.replaceAll(/[\s\\]/g, ''));
    expect(tidy(text)).toContain('# memory\n');
    expect(parseCommandLine(tidy(text)).options.map((option) => option.argument)).toEqual(
      parseCommandLine(text).options.map((option) => option.argument),
    );
  });
});

describe('folding', () => {
  it('takes the longest option of a line, behind its first parameter', () => {
    const text = '-m 1G -device virtio-blk-pci,drive=a-long-name,id=another-long-name,addr=0x9';
    const span = foldable(parseCommandLine(text), 0, text.length);
    expect(text.slice(0, span?.start)).toBe('-m 1G -device virtio-blk-pci');
    expect(span?.end).toBe(text.length);
    expect(foldable(parseCommandLine('-m 1G'), 0, 5)).toBeNull();
  });
});
