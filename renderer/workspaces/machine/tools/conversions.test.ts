import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { convert, LINES, read, TARGETS, type Target } from './conversions.ts';

describe('what a line can be turned into', () => {
  const context = { version: '7.2' };
  const line = parseCommandLine(
    'qemu-system-x86_64 -m 1G -hda a.img -drive file=b,if=none,id=d,format=raw -device virtio-blk-pci,drive=d ' +
      '-blockdev driver=raw,node-name=n,file.driver=file,file.filename=n.raw -device virtio-blk-pci,drive=n',
  );

  it.each(TARGETS)('%s says something, and a line stays a line', (target) => {
    const { text } = convert(line, target, context);
    expect(text).not.toBe('');
    if (LINES.has(target)) expect(parseCommandLine(text).problems).toEqual([]);
  });

  it('each target is its own', () => {
    expect(new Set(TARGETS.map((target) => convert(line, target, context).text)).size).toBe(TARGETS.length);
    expect(convert(line, 'long', context).text).toContain('-drive file=a.img');
    expect(convert(line, 'blockdev', context).text).toContain('-blockdev');
    expect(convert(line, 'script', context).text).toMatch(/^#!\/bin\/sh/);
  });

  it('has words in both languages for each target', async () => {
    for (const locale of ['en', 'zh-CN']) {
      const { default: words } = (await import(`#resources/messages/${locale}/machine.json`, {
        with: { type: 'json' },
      })) as { default: Record<string, string> };
      for (const target of TARGETS) expect(words[`convert.${target}`]).toBeTruthy();
    }
  });

  it('notes of the XML lead to the present line, and not to what it was rewritten to', () => {
    const text = '-drive file=u.img,if=none,id=stick,format=raw -device nvme,drive=stick,serial=1,id=nv';
    const { notes } = convert(parseCommandLine(text), 'libvirt', context);
    expect(notes).not.toHaveLength(0);
    for (const note of notes) expect(text.slice(note.span.start, note.span.end)).toContain('nv');
  });

  it('what a file holds goes into forms of the whole machine, and stays in the file otherwise', () => {
    const file =
      '[drive "d"]\n  file = "/a"\n  if = "none"\n  format = "raw"\n[device "v"]\n  driver = "virtio-blk-pci"\n  drive = "d"\n';
    const configs = new Map([['vm.cfg', file]]);
    const read = parseCommandLine('qemu-system-x86_64 -m 1G -readconfig vm.cfg', configs);
    const inFile = (target: Target) => convert(read, target, { ...context, configs });
    expect(inFile('libvirt').text).toContain("<source file='/a'/>");
    expect(inFile('qmp').text).toContain('"id":"v"');
    expect(inFile('config').text).toContain('[device "v"]');
    expect(inFile('config').notes).toEqual([]);
    for (const target of [...LINES, 'script'] as Target[]) {
      expect(inFile(target).text).toMatch(/-readconfig vm\.cfg\s*$/);
      expect(inFile(target).text).not.toContain('virtio-blk-pci');
    }
  });

  it('XML, QMP and configuration files become lines', () => {
    expect(
      read("<disk type='file'><source file='a'/><target dev='vda' bus='virtio'/></disk>", 'libvirt').text,
    ).toContain('-device virtio-blk-pci');
    expect(read('{"execute": "device_add", "arguments": {"driver": "nvme"}}', 'qmp').text).toContain(
      '-device',
    );
    expect(read('[drive "d"]\n  file = "a"\n', 'config').text).toContain('-drive');
  });
});
