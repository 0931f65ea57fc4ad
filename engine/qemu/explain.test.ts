import { describe, expect, it } from 'vitest';
import en from '#resources/messages/en/explain.json' with { type: 'json' };
import zh from '#resources/messages/zh-CN/explain.json' with { type: 'json' };
import { explain } from './explain.ts';
import { parseCommandLine } from './parse.ts';

const keys = (text: string) => explain(parseCommandLine(text)).map((sentence) => sentence.key);

describe('the line in plain sentences', () => {
  it('says that a drive waits only when no device names it', () => {
    const drive = '-drive file=a.img,if=none,id=d0,format=raw';
    expect(keys(drive)).toContain('explain.if.none');
    const used = explain(parseCommandLine(`${drive} -device virtio-blk-pci,drive=d0,id=disk1`));
    expect(used.map((sentence) => sentence.key)).not.toContain('explain.if.none');
    expect(used.find((sentence) => sentence.key === 'explain.if.used')?.params.device).toBe('disk1');
    expect(keys(`${drive} -device virtio-blk-pci,drive=other`)).toContain('explain.if.none');
  });

  it('has words in both languages', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
    for (const key of keys(
      '-machine q35 -object iothread,id=t -drive file=a,if=none,id=d0 -device virtio-blk-pci,drive=d0,iothread=t -cdrom c.iso',
    ))
      expect(en).toHaveProperty([key]);
  });
});
