import { describe, expect, it } from 'vitest';
import { compareLines } from '../compare.ts';
import { toBlockdev } from '../convert/blockdev.ts';
import { toConfig } from '../convert/config.ts';
import { toJson } from '../convert/json.ts';
import { applyEdits, removeParam, setValue } from '../edit.ts';
import { fixAll, lint } from '../lint.ts';
import { parseCommandLine, printCommandLine } from '../parse.ts';
import { storageModel } from '../storage-model.ts';

const context = { version: '7.2' };
const DRIVE = '-drive file=a,if=none,id=d,format=raw';

describe('-set and -global', () => {
  it('take effect on what they name, at their own place', () => {
    const text = `${DRIVE} -device virtio-blk-pci,id=v,drive=d -set drive.d.format=qcow2 -global virtio-blk-pci.queue-size=64`;
    const line = parseCommandLine(text);
    const model = storageModel(line);
    expect(model.drives[0].format).toBe('qcow2');
    const size = model.devices[0].tree.children.get('queue-size')?.param;
    expect(size?.value).toBe('64');
    expect(text.slice(size?.valueSpan.start, size?.valueSpan.end)).toBe('64');
    expect(printCommandLine(line)).toBe(text);
  });

  it('are edited and removed where they stand', () => {
    const text = `${DRIVE} -set drive.d.file=b,c -device virtio-blk-pci,drive=d -global virtio-blk-pci.serial=1`;
    const line = parseCommandLine(text);
    const [drive] = storageModel(line).drives;
    const file = drive.fileParam ?? expect.fail();
    expect(file.value).toBe('b,c');
    expect(applyEdits(text, [setValue(drive.option, file, 'd,e')])).toContain('-set drive.d.file=d,e ');
    const device = storageModel(line).devices[0].option;
    const serial = device.params.find((p) => p.key === 'serial') ?? expect.fail();
    expect(applyEdits(text, [removeParam(line, device, serial)])).not.toContain('-global');
  });

  it('are repaired where they stand', () => {
    expect(
      fixAll(`${DRIVE} -device virtio-blk-pci,drive=d -global virtio-blk-pci.queue_size=64`, context),
    ).toContain('-global virtio-blk-pci.queue-size=64');
    expect(
      fixAll(`${DRIVE} -device virtio-blk-pci,drive=d -global virtio-blk.queue-size=64`, context),
    ).toContain('-global virtio-blk-pci.queue-size=64');
  });

  it('go into what a conversion writes', () => {
    const line = parseCommandLine(
      `${DRIVE} -set drive.d.format=qcow2 -device virtio-blk-pci,id=v,drive=d -set device.v.serial=7 -global virtio-blk-pci.packed=on`,
    );
    const blockdev = toBlockdev(line).text;
    expect(blockdev).toContain('driver=qcow2');
    expect(blockdev).not.toContain('-set drive');
    expect(blockdev).toContain('-set device.v.serial=7');
    const json = toJson(line, context).text;
    expect(json).toContain('"serial":"7"');
    expect(json).not.toContain('-set device');
    expect(json).toContain('-global virtio-blk-pci.packed=on');
    expect(json).not.toContain('"packed"');
    const config = toConfig(line);
    expect(config.text).toContain('[device "v"]\n  driver = "virtio-blk-pci"\n  drive = "d"\n  serial = "7"');
    expect(config.text).toContain('format = "qcow2"');
    expect(config.text).not.toContain('format = "raw"');
    expect(config.line).toBe('-readconfig machine.conf');
  });

  it('mean the same as the value in its place', () => {
    const left = parseCommandLine(`${DRIVE} -device virtio-blk-pci,drive=d,id=v -set device.v.serial=7`);
    const right = parseCommandLine(`${DRIVE} -device virtio-blk-pci,drive=d,id=v,serial=7`);
    expect(compareLines(left, right)).toEqual([]);
  });
});

describe('-readconfig', () => {
  const CONFIG = '[drive "d"]\n  file = "a"\n  if = "none"\n  format = "raw"\n';
  const text = '-readconfig vm.cfg -device virtio-blk-pci,drive=d';

  it('unread is no reason to miss what may stand in it', () => {
    expect(lint(parseCommandLine(text), context)).toEqual([]);
    expect(lint(parseCommandLine('$DISKS -device virtio-blk-pci,drive=d'), context)).toEqual([]);
    expect(lint(parseCommandLine('-m $MEM -device virtio-blk-pci,drive=d'), context)).toMatchObject([
      { rule: 'D01' },
    ]);
  });

  it('read has its options in the line, with the place of its name', () => {
    const line = parseCommandLine(text, new Map([['vm.cfg', CONFIG]]));
    const [drive] = storageModel(line).drives;
    expect(drive).toMatchObject({ id: 'd', file: 'a', format: 'raw' });
    expect(text.slice(drive.span.start, drive.span.end)).toBe('vm.cfg');
    expect(lint(line, context)).toEqual([]);
    expect(printCommandLine(line)).toBe(text);
  });

  it('is judged, and never edited from the line', () => {
    const configs = new Map([['vm.cfg', CONFIG.replace('raw', 'rawx').replace('"d"', '"e"')]]);
    const line = parseCommandLine(text, configs);
    const problems = lint(line, context);
    expect(problems.map((p) => p.rule)).toContain('D01');
    for (const fix of problems.flatMap((p) => p.fixes))
      expect(applyEdits(text, fix.edits)).toContain('vm.cfg');
  });
});
