import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { colouredSpans } from './highlight.ts';

const coloured = (text: string) =>
  colouredSpans(parseCommandLine(text)).map(({ span, token }) => [text.slice(span.start, span.end), token]);

describe('colours of a line', () => {
  it('tells options, drivers, keys, identifiers and numbers apart', () => {
    expect(coloured('-device virtio-blk-pci,addr=0x9,drive=d0,scsi=off')).toEqual([
      ['-device', 'option'],
      ['virtio-blk-pci', 'driver'],
      ['addr', 'key'],
      ['0x9', 'number'],
      ['drive', 'key'],
      ['d0', 'id'],
      ['scsi', 'key'],
      ['off', 'value'],
    ]);
  });

  it('marks what the shell replaces, wherever it stands', () => {
    expect(coloured('$WRAP qemu-system-x86_64 $DISKS -hda /a/$NAME.img -m "$MEM"')).toEqual([
      ['$WRAP', 'variable'],
      ['qemu-system-x86_64', 'word'],
      ['$DISKS', 'variable'],
      ['-hda', 'option'],
      ['/a/', 'value'],
      ['$NAME', 'variable'],
      ['.img', 'value'],
      ['-m', 'option'],
      ['$MEM', 'variable'],
    ]);
  });

  it('never overlaps, whatever is pasted', () => {
    for (const text of [
      `-drive 'file=a b,id=x" -hda`,
      `-blockdev {"driver":"qcow2","file":{"driver":"file"}}`,
      '# -drive x $Y',
      '-hda $A$B${C} -set drive.d.file=$(x) -drive id=d,file=y -global nvme.serial=`a` -device nvme',
    ]) {
      let end = 0;
      for (const { span } of colouredSpans(parseCommandLine(text))) {
        expect(span.start).toBeGreaterThanOrEqual(end);
        end = span.end;
        expect(end).toBeLessThanOrEqual(text.length);
      }
    }
  });
});
