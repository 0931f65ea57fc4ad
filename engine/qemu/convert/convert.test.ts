import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareLines } from '../compare.ts';
import { addressMap, bootOrder } from '../maps.ts';
import { parseCommandLine } from '../parse.ts';
import { toBlockdev } from './blockdev.ts';
import { toLongOptions } from './long.ts';
import { toScript } from './script.ts';

const texts = JSON.parse(readFileSync('resources/messages/en/convert.json', 'utf8')) as Record<
  string,
  string
>;

describe('toBlockdev', () => {
  it('splits a drive into its block nodes and gives the device what belongs to it', () => {
    const { text, notes } = toBlockdev(
      parseCommandLine(
        'qemu -drive file=/a,,b.qcow2,if=none,id=d0,format=qcow2,cache=writethrough,aio=threads,werror=stop,discard=on -device virtio-blk-pci,drive=d0',
      ),
    );
    expect(text).toBe(
      'qemu -blockdev driver=qcow2,node-name=d0,file.driver=file,file.filename=/a,,b.qcow2,file.aio=threads,discard=unmap ' +
        '-device virtio-blk-pci,drive=d0,werror=stop,write-cache=off',
    );
    expect(notes).toEqual([]);
  });

  it('makes the device that the board would have made', () => {
    const { text } = toBlockdev(parseCommandLine('-hda a.img -drive file=b.img,if=virtio,format=raw'));
    expect(text).toContain('-device ide-hd,bus=ide.0,unit=0,drive=ide0-hd0');
    expect(text).toContain('-device virtio-blk-pci,drive=virtio0');
  });

  it('says what it leaves alone, in texts that exist', () => {
    const lines = [
      '-drive file=a,if=none,id=d,snapshot=on',
      '-drive file=$A,if=none,id=d',
      '-drive if=none,id=d',
      '-drive file=a,if=none,id=d',
      "-drive 'file=json:{}',format=raw,if=virtio",
      '-sd a',
      '-drive file=iscsi://u%25p@h/t/1,format=raw',
    ];
    for (const line of lines) {
      const { notes } = toBlockdev(parseCommandLine(line));
      expect(notes.length).toBeGreaterThan(0);
      for (const note of notes) expect(texts).toHaveProperty([note.key]);
    }
  });
});

describe('toLongOptions', () => {
  it('means the same', () => {
    const short = parseCommandLine('-hda a.img -cdrom b.iso -fda c.img -m 1G');
    const { text } = toLongOptions(short);
    expect(text).toBe(
      '-drive file=a.img,index=0,media=disk -drive file=b.iso,index=2,media=cdrom -drive file=c.img,if=floppy,index=0,media=disk -m 1G',
    );
    expect(compareLines(short, parseCommandLine(text))).toEqual([]);
  });
});

describe('toScript', () => {
  it('keeps quoting and variables', () => {
    const { text } = toScript(parseCommandLine(`qemu-system-x86_64 -drive "file=$A,id=d" \\\n -m '1 G'`));
    expect(text).toBe(
      `#!/bin/sh\nset -eu\n\nexec qemu-system-x86_64 \\\n  -drive "file=$A,id=d" \\\n  -m '1 G'\n`,
    );
  });
});

describe('compareLines', () => {
  it('does not see spelling, order and layout', () => {
    const a = parseCommandLine(
      "-M q35 -device virtio-blk,drive=d,id=v,addr=0x5 -drive 'file=x,id=d,if=none,readonly=on'",
    );
    const b = parseCommandLine(
      '-drive id=d,if=none,read-only=yes,file=x -machine type=q35 -device virtio-blk-pci,id=v,drive=d,addr=05.0',
    );
    expect(compareLines(a, b)).toEqual([]);
  });
  it('names what differs', () => {
    const a = parseCommandLine('-device nvme,id=n,serial=1 -m 1G');
    const b = parseCommandLine('-device nvme,id=n,serial=2 -device nvme,id=o,serial=3');
    expect(compareLines(a, b)).toMatchObject([
      { kind: 'changed', what: 'device n', params: [{ key: 'serial', left: '1', right: '2' }] },
      { kind: 'only-left', what: 'm #1' },
      { kind: 'only-right', what: 'device o' },
    ]);
  });
});

describe('maps', () => {
  it('show taken and free PCI slots and the boot order', () => {
    const line = parseCommandLine(
      '-nodefaults -device nvme,id=n,serial=1,addr=3,bootindex=2 -device virtio-scsi-pci,id=s -device scsi-cd,id=c,bootindex=1 -boot order=n',
    );
    const [pci, scsi] = addressMap(line);
    expect(pci.taken.filter((t) => t.device !== undefined).map((t) => [t.address, t.device])).toEqual([
      ['02.0', 's'],
      ['03.0', 'n'],
    ]);
    expect(pci.free.slice(0, 2)).toEqual(['0x4', '0x5']);
    expect(scsi).toMatchObject({ bus: 's.0', taken: [{ address: '0:0:0', device: 'c' }] });
    expect(bootOrder(line).map((b) => b.device)).toEqual(['c', 'n', 'network']);
  });
});
