import { describe, expect, it } from 'vitest';
import { complete } from './complete.ts';
import { hover } from './hover.ts';
import { parseCommandLine } from './parse.ts';

const context = { version: '7.2', files: new Map([['/a.qcow2', { format: 'qcow2', virtualSize: 1 }]]) };

/** Labels at the place of `|`. */
function at(marked: string): string[] {
  const offset = marked.indexOf('|');
  return complete(marked.replace('|', ''), offset, context).map((c) => c.label);
}

describe('complete', () => {
  it('offers options, devices, properties and values', () => {
    expect(at('-dri|')).toContain('-drive');
    expect(at('-device virtio-blk|')[0]).toBe('virtio-blk-pci');
    expect(at('-device virtio-blk-pci,queue|')).toEqual(expect.arrayContaining(['queue-size', 'num-queues']));
    expect(at('-device virtio-blk-pci,ioeventfd=|')).toEqual(['off', 'on']);
    expect(at('-drive file=|')).toEqual(['/a.qcow2']);
    expect(at('-M q|')).toContain('q35');
  });

  it('offers the ids of the line, free drives first', () => {
    const line =
      '-drive if=none,id=used -drive if=none,id=free -device ide-cd,drive=used -device ide-cd,drive=|';
    expect(at(line)).toEqual(['free', 'used']);
    expect(at('-device virtio-scsi-pci,id=s -device scsi-cd,bus=|')).toEqual(['s.0']);
    expect(at('-object iothread,id=io0 -device virtio-blk-pci,iothread=|')).toEqual(['io0']);
  });

  it('offers the options of the chosen block driver, nested ones too', () => {
    expect(at('-blockdev driver=qcow2,lazy|')).toEqual(['lazy-refcounts']);
    expect(at('-blockdev driver=qcow2,file.driver=file,file.lock|')).toEqual(['file.locking']);
    expect(at('-blockdev driver=qcow2,file.driver=file,file.locking=|')).toEqual(['auto', 'off', 'on']);
    expect(at('-blockdev driver=qco|')).toEqual(['qcow', 'qcow2']);
  });

  it('offers names and values in JSON, with the quotes that are missing', () => {
    const json = (marked: string): string[] => {
      const offset = marked.indexOf('|');
      return complete(marked.replace('|', ''), offset, context).map((c) => c.insert);
    };
    expect(json(`-blockdev '{"driver": "qcow2", "lazy|"}'`)).toEqual(['lazy-refcounts']);
    expect(json(`-blockdev '{"driver": "qcow2", "lazy|`)).toEqual(['lazy-refcounts": ']);
    expect(json(`-blockdev '{"driver": "qcow2", |}'`)).toContain('"file": ');
    expect(json(`-blockdev '{"driver": "qcow2", "lazy-refcounts": |}'`)).toEqual(['false', 'true']);
    expect(json(`-blockdev '{"driver": "qcow2", "file": {"driver": "file", "lock|"}}'`)).toEqual(['locking']);
    expect(json(`-blockdev '{"driver": "qcow2", "file": {"driver": "file", "locking": "|"}}'`)).toEqual([
      'auto',
      'off',
      'on',
    ]);
    expect(
      json(`-blockdev driver=raw,node-name=n0 -device '{"driver": "virtio-blk-pci", "drive": "|`),
    ).toEqual(['n0"']);
    expect(json(`-device '{"driver": "virtio-blk-pci", "packed": t|}'`)).toEqual(['true']);
    expect(json(`-device '{"driver": "virtio-blk-p|`)[0]).toBe('virtio-blk-pci"');
    expect(json(`-device '{"driver": "nvme"}|'`)).toEqual([]);
    expect(json(`-device '{"driver": [[[{"a": "|`)).toEqual([]);
  });

  it('does not offer what stands there already', () => {
    expect(at('-device virtio-blk-pci,drive=d,dri|')).not.toContain('drive');
  });
});

describe('hover', () => {
  it('says type, default and help of a property', () => {
    const text = '-device virtio-blk-pci,logical_block_size=512,queue-size=128';
    const line = parseCommandLine(text);
    expect(hover(line, text.indexOf('queue'), context)).toMatchObject({
      name: 'virtio-blk-pci.queue-size',
      type: 'uint16',
      defaultValue: '256',
    });
    const bool = '-device virtio-blk-pci,event_idx=on';
    expect(hover(parseCommandLine(bool), bool.indexOf('event'), context)?.defaultValue).toBe('on');
    const json = `-device '{"driver": "virtio-blk-pci", "event_idx": true}'`;
    expect(hover(parseCommandLine(json), json.indexOf('event'), context)?.name).toBe(
      'virtio-blk-pci.event_idx',
    );
    expect(hover(line, text.indexOf('logical'), context)?.help).toMatch(/power of two/);
    expect(hover(line, text.indexOf('virtio'), context)).toMatchObject({ kind: 'device', type: 'PCI' });
  });

  it('lists the values of a block option', () => {
    const text = '-blockdev driver=file,locking=auto';
    expect(hover(parseCommandLine(text), text.indexOf('locking'), context)?.values).toEqual([
      'auto',
      'on',
      'off',
    ]);
  });
});
