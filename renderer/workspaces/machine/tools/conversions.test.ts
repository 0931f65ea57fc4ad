import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { convert, LINES, TARGETS } from './conversions.ts';

describe('what a line can be turned into', () => {
  const line = parseCommandLine(
    'qemu-system-x86_64 -m 1G -hda a.img -drive file=b,if=none,id=d -device virtio-blk-pci,drive=d',
  );

  it.each(TARGETS)('%s says something, and a line stays a line', (target) => {
    const { text } = convert(line, target);
    expect(text).not.toBe('');
    if (LINES.has(target)) expect(parseCommandLine(text).problems).toEqual([]);
  });

  it('each target is its own', () => {
    expect(new Set(TARGETS.map((target) => convert(line, target).text)).size).toBe(TARGETS.length);
    expect(convert(line, 'long').text).toContain('-drive file=a.img');
    expect(convert(line, 'blockdev').text).toContain('-blockdev');
    expect(convert(line, 'script').text).toMatch(/^#!\/bin\/sh/);
  });

  it('has words in both languages for each target', async () => {
    for (const locale of ['en', 'zh-CN']) {
      const { default: words } = (await import(`#resources/messages/${locale}/machine.json`, {
        with: { type: 'json' },
      })) as { default: Record<string, string> };
      for (const target of TARGETS) expect(words[`convert.${target}`]).toBeTruthy();
    }
  });
});
