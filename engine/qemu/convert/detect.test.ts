import { describe, expect, it } from 'vitest';
import { fromConfig } from './config.ts';
import { textForm } from './detect.ts';
import { fromQmp } from './json.ts';

describe('what a pasted text is', () => {
  it.each([
    ['<domain type="kvm">', 'libvirt'],
    ['\uFEFF<?xml version="1.0"?>\n<domain/>', 'libvirt'],
    ['  <!-- edited -->\n<disk type="file"/>', 'libvirt'],
    ['{ "execute": "blockdev-add", "arguments": {} }', 'qmp'],
    ['-> {"execute":\n "device_add"}', 'qmp'],
    ['# qemu config file\n\n[device "v1"]\n  driver = "nvme"', 'config'],
    ['qemu-system-x86_64 -drive file=a', undefined],
    ['{"driver": "qcow2"}', undefined],
    ['<a.img', undefined],
    ['[ -f a.img ] && qemu-system-x86_64', undefined],
    ['', undefined],
  ])('%j', (text, form) => expect(textForm(text)).toBe(form));
});

describe('QMP as people lay it out', () => {
  it('reads commands over several lines, prompts and answers between them', () => {
    const text = `-> { "execute": "blockdev-add",
     "arguments": { "driver": "qcow2", "node-name": "a}",
                    "file": { "driver": "file", "filename": "a \\" b" } } }
<- { "return": {} }
(QEMU) {"execute": "device_add", "arguments": {"driver": "nvme", "drive": "a}", "serial": "1"}}`;
    const { text: line, notes } = fromQmp(text);
    expect(notes).toEqual([]);
    expect(line.split('\n')).toHaveLength(2);
    expect(line).toContain('-device');
  });

  it('names the place of what is no command', () => {
    const text = '{"execute": "quit"}\nhello\n{"execute": ';
    const { notes } = fromQmp(text);
    expect(notes.map((n) => [n.key, text.slice(n.span.start, n.span.end).trim()])).toEqual([
      ['convert.read.no-option', '{"execute": "quit"}'],
      ['convert.read.no-json', 'hello'],
      ['convert.read.no-json', '{"execute":'],
    ]);
  });
});

it('a configuration file names the place of what it does not know', () => {
  const text = '[nonsense "x"]\n a = "1"\n[drive "d"]\n file = "a"\n oops';
  expect(fromConfig(text).notes.map((n) => text.slice(n.span.start, n.span.end).trim())).toEqual([
    '[nonsense "x"]',
    'oops',
  ]);
});
