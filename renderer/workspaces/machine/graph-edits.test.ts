import { describe, expect, it } from 'vitest';
import { applyEdits } from '#engine/qemu/edit.ts';
import { lint } from '#engine/qemu/lint.ts';
import type { TopologyNode } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { topology } from '#engine/qemu/topology.ts';
import { addPiece, canBeDragged, dropEdits, NEW_PIECES, removeEdits } from './graph-edits.ts';

const context = { version: '7.2' };
const LINE =
  '-machine pc -device virtio-blk-pci,id=a,drive=wrong,addr=0x9 -device virtio-blk-pci,id=b,addr=0x5 -drive file=x,if=none,id=d0,format=raw';

function piece(text: string, key: string): TopologyNode {
  const found = topology(parseCommandLine(text), context).nodes.find((node) => node.key === key);
  if (found === undefined) throw new Error(`no piece ${key}`);
  return found;
}
function drop(text: string, from: string, to: string): string | null {
  const line = parseCommandLine(text);
  const edits = dropEdits(line, piece(text, from), piece(text, to));
  return edits === null ? null : applyEdits(text, edits);
}

describe('dropping in the block graph', () => {
  const chain =
    '-blockdev driver=qcow2,node-name=top,file.driver=file,file.filename=t.qcow2 -blockdev driver=qcow2,node-name=base,file.driver=file,file.filename=b.qcow2 -device virtio-blk-pci,drive=top,id=v';
  const node = (text: string, name: string): string =>
    topology(parseCommandLine(text), context).nodes.find((n) => n.label === name && n.half === 'back')?.key ??
    name;
  const stack = (text: string, from: string, to: string): string | null =>
    drop(text, node(text, from), node(text, to));

  it('makes a backing file, defined before it is used', () => {
    const made = stack(chain, 'base', 'top') ?? expect.fail();
    expect(made).toContain('file.filename=t.qcow2,backing=base');
    expect(made.indexOf('node-name=base')).toBeLessThan(made.indexOf('node-name=top'));
    expect(lint(parseCommandLine(made), context)).toEqual([]);
    expect(stack(made, 'base', 'top')).toBeNull();
  });

  it('makes no circle, and puts nothing under a file', () => {
    const made = stack(chain, 'base', 'top') ?? expect.fail();
    expect(stack(made, 'top', 'base')).toBeNull();
    expect(stack(chain, 'base', 't.qcow2')).toBeNull();
  });

  it('gives a filter another node to stand on', () => {
    const text =
      '-blockdev driver=raw,node-name=r,file.driver=file,file.filename=r.img -blockdev driver=copy-on-read,node-name=cor,file.driver=qcow2,file.file.driver=file,file.file.filename=x.qcow2';
    expect(stack(text, 'r', 'cor')).toContain('-blockdev driver=copy-on-read,node-name=cor,file=r');
  });

  it('gives a device its I/O thread', () => {
    const text = `${chain} -object iothread,id=io0 -device ide-hd,drive=base,id=h`;
    expect(drop(text, 'iothread:io0', 'device:v')).toContain('id=v,iothread=io0');
    expect(drop(text, 'iothread:io0', 'device:h')).toBeNull();
  });
});

describe('dropping one piece on another', () => {
  it('plugs a drive into a device, from either side, and into the hole that a wrong name left', () => {
    const mended = LINE.replace('drive=wrong', 'drive=d0');
    expect(drop(LINE, 'drive:d0', 'device:a')).toBe(mended);
    expect(drop(LINE, 'drive:d0', 'missing:wrong')).toBe(mended);
    expect(drop(LINE, 'device:a', 'drive:d0')).toBe(mended);
    expect(drop(LINE, 'drive:d0', 'device:b')).toContain('id=b,addr=0x5,drive=d0');
    expect(drop(mended, 'drive:d0', 'device:a')).toBeNull();
  });

  it('moves a device to another slot, and who is there comes in its place', () => {
    const swapped = drop(LINE, 'device:a', 'slot:pci.0:05.0');
    expect(swapped).toContain('id=a,drive=wrong,addr=0x5');
    expect(swapped).toContain('id=b,addr=0x9');
    expect(drop(LINE, 'device:a', 'slot:pci.0:09.0')).toBeNull();
  });

  it('moves a disk to another bus of its kind only', () => {
    const line =
      '-device virtio-scsi-pci,id=s0 -device virtio-scsi-pci,id=s1 -device scsi-hd,id=h,bus=s0.0,scsi-id=3 -device scsi-hd,id=g,bus=s1.0';
    expect(drop(line, 'device:h', 'bus:s1.0')).toContain('scsi-hd,id=h,bus=s1.0 ');
    expect(drop(line, 'device:h', 'device:s1')).toContain('scsi-hd,id=h,bus=s1.0 ');
    expect(drop(line, 'device:h', 'bus:s0.0')).toBeNull();
    expect(drop(line, 'device:h', 'bus:pci.0')).toBeNull();
    expect(drop(line, 'device:s0', 'bus:s0.0')).toBeNull();
  });

  it('takes up devices and free-standing drives, not what the board makes', () => {
    const line = parseCommandLine('-hda x.img -device virtio-blk-pci,id=v');
    const { nodes } = topology(line, context);
    const can = nodes.filter((node) => canBeDragged(line, node)).map((node) => node.key);
    expect(can).toEqual(['device:v']);
  });
});

describe('taking out and adding', () => {
  it('takes out the option, or the address of a slot', () => {
    const line = parseCommandLine(LINE);
    const without = (key: string) => {
      const edits = removeEdits(line, piece(LINE, key));
      return edits === null ? null : applyEdits(LINE, edits);
    };
    expect(without('device:b')).toBe(LINE.replace(' -device virtio-blk-pci,id=b,addr=0x5', ''));
    expect(without('slot:pci.0:09.0')).toBe(LINE.replace(',addr=0x9', ''));
    expect(without('machine')).toBeNull();
    expect(without('missing:wrong')).toBeNull();
  });

  it.each(NEW_PIECES)('adds %s to nothing and again to what came of it, and nothing is wrong', (kind) => {
    let text = '';
    for (let i = 0; i < 2; i++) text = applyEdits(text, addPiece(parseCommandLine(text), kind));
    const line = parseCommandLine(text);
    expect(line.options.length).toBeGreaterThan(2);
    expect(lint(line, context).filter((problem) => problem.severity === 'error')).toEqual([]);
  });

  it('puts a free drive behind a new device', () => {
    const text = '-drive file=x,if=none,id=spare,format=raw';
    expect(applyEdits(text, addPiece(parseCommandLine(text), 'virtio-blk'))).toBe(
      `${text} -device virtio-blk-pci,drive=spare,id=disk1`,
    );
  });
});
