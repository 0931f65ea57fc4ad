import { describe, expect, it } from 'vitest';
import { applyEdits } from '../edit.ts';
import { lint } from '../lint.ts';
import { parseCommandLine } from '../parse.ts';
import { CHANGES } from './changes.ts';

const rulesOf = (text: string, version: string): string[] =>
  lint(parseCommandLine(text), { version }).map((p) => p.rule);

describe('changes by version', () => {
  it.each([
    ['-no-acpi', '7.2', []],
    ['-no-acpi', '8.2', ['O08']],
    ['-no-acpi', '9.0', ['O07']],
    ['-chardev socket,id=c,path=/s,reconnect=2', '9.1', []],
    ['-chardev socket,id=c,path=/s,reconnect=2', '10.0', ['O08']],
    ['-chardev socket,id=c,path=/s,reconnect=2', '10.2', ['O07']],
    ['-chardev ringbuf,id=c', '10.2', []],
    ['-chardev memory,id=c', '9.0', ['O08']],
    ['-iscsi user=u,password=p', '8.0', ['O08']],
    ['-runas nobody', '10.2', ['O07']],
  ])('%s for QEMU %s', (text, version, rules) => expect(rulesOf(text, version)).toEqual(rules));

  it('is repaired with its unit', () => {
    const text = '-chardev socket,id=c,path=/s,reconnect=2';
    const [{ fixes }] = lint(parseCommandLine(text), { version: '10.2' });
    expect(applyEdits(text, fixes[0].edits)).toBe('-chardev socket,id=c,path=/s,reconnect-ms=2000');
  });

  it('is removed after it was deprecated, each thing once', () => {
    const number = (version: string): number => Number(version.replace(/\.(\d)$/, '.0$1'));
    for (const { deprecated, removed } of CHANGES)
      if (deprecated !== undefined && removed !== undefined)
        expect(number(removed)).toBeGreaterThan(number(deprecated));
    const names = CHANGES.map((c) => `${c.kind} ${c.name}`);
    expect(new Set(names).size).toBe(names.length);
  });
});
