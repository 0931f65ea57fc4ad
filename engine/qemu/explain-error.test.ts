import { describe, expect, it } from 'vitest';
import { applyEdits } from './edit.ts';
import { explainError } from './explain-error.ts';
import { parseCommandLine } from './parse.ts';
import { RULES } from './rules/table.ts';
import { fillMessage } from './rules/rule.ts';

describe('explainError', () => {
  it('finds the rule, the names and the fix in the line', () => {
    const text = '-device virtio-blk-pci,drive=disk0 -drive file=a.raw,if=none,id=disk1,format=raw';
    const line = parseCommandLine(text);
    const printed = `qemu-system-x86_64: -device virtio-blk-pci,drive=disk0: Property 'virtio-blk-device.drive' can't find value 'disk0'`;
    const [found] = explainError(printed, line, { version: '7.2' });
    expect(found).toMatchObject({ rule: 'D01', names: { owner: 'virtio-blk-device', drive: 'disk0' } });
    expect(applyEdits(text, found.problem?.fixes[0].edits ?? [])).toContain('drive=disk1');
  });

  it('reads what libvirt wraps around it', () => {
    const printed = `error: internal error: process exited while connecting to monitor: 2026-01-02T03:04:05.678Z qemu-system-x86_64: -blockdev {"driver":"file","filename":"/x.img","node-name":"n"}: Failed to get "write" lock\nIs another process using the image [/x.img]?`;
    expect(explainError(printed).map((e) => [e.rule, e.names])).toEqual([
      ['L01', {}],
      ['L01', { file: '/x.img' }],
    ]);
  });

  it('knows qemu-img', () => {
    expect(
      explainError('qemu-img: Could not open \'a.qcow2\': Failed to get shared "write" lock')[0],
    ).toMatchObject({ rule: 'L02', names: { file: 'a.qcow2' } });
    expect(explainError('qemu-img: b.qcow2: Backing file specified without backing format')[0].rule).toBe(
      'Q01',
    );
  });

  it('recognises every message of the table as one of a rule that prints it', () => {
    for (const rule of RULES) {
      for (const template of rule.qemu) {
        const printed = fillMessage(template, new Proxy({}, { get: () => 'name0' }));
        const found = explainError(`qemu-system-x86_64: ${printed}`);
        expect([printed, found.length]).toEqual([printed, 1]);
        const own = RULES.find((r) => r.id === found[0].rule);
        expect([printed, own?.qemu.some((t) => printed.includes(fillMessage(t, found[0].names)))]).toEqual([
          printed,
          true,
        ]);
      }
    }
  });

  it('finds nothing in what is no error', () => {
    expect(explainError('hello\nworld')).toEqual([]);
  });
});
