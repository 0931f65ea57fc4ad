import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { bundledSchema } from '#engine/qemu/schema/bundled.ts';
import { storageModel } from '#engine/qemu/storage-model.ts';
import { fieldsOf, type Field } from './fields.ts';

function fields(text: string, index = 0): Map<string, Field> {
  const line = parseCommandLine(text);
  const list = fieldsOf(line.options[index], storageModel(line), bundledSchema);
  return new Map(list.map((field) => [field.key, field]));
}

describe('the form of an option', () => {
  it('takes types, defaults and help of a device from the schema', () => {
    const form = fields('-device virtio-blk-pci,packed=on,queue-size=64');
    expect([...form.keys()].slice(0, 3)).toEqual(['driver', 'packed', 'queue-size']);
    expect(form.get('packed')).toMatchObject({ control: 'switch', defaultValue: 'off' });
    expect(form.get('queue-size')).toMatchObject({ control: 'number', defaultValue: '256' });
    expect(form.get('werror')).toMatchObject({ control: 'choice', param: undefined });
    expect(form.get('num-queues')?.defaultValue).toBeUndefined();
    expect(form.get('drive')?.help).toContain('block device');
    expect([...form.keys()].some((key) => key.startsWith('x-'))).toBe(false);
  });

  it('offers the names and places of the line', () => {
    const line =
      '-device virtio-blk-pci,drive=gone -drive if=none,id=d0,file=a -object iothread,id=io1 -device virtio-scsi-pci,addr=0x5';
    const form = fields(line);
    expect(form.get('drive')?.values).toEqual(['gone', 'd0']);
    expect(form.get('iothread')?.values).toEqual(['io1']);
    expect(form.get('bus')?.values).toContain('pci.0');
    expect(form.get('addr')?.values).toContain('0x9');
    expect(form.get('addr')?.values).not.toContain('0x5');
  });

  it('knows the keys of -drive, -blockdev and -object, dotted ones too', () => {
    const drive = fields('-drive file=a,if=none,cache=none,readonly=on,file.locking=off');
    expect(drive.get('cache')).toMatchObject({ control: 'choice' });
    expect(drive.get('readonly')?.control).toBe('switch');
    const block = fields(
      '-blockdev driver=qcow2,node-name=n,file.driver=file,file.filename=x,file.locking=off',
    );
    expect(block.get('file.locking')?.values).toContain('auto');
    expect(block.get('lazy-refcounts')?.control).toBe('switch');
    expect(fields('-object iothread,id=t').get('poll-max-ns')?.control).toBe('number');
  });

  it('keeps a value that no list has, and leaves the shell its variables', () => {
    expect(fields('-drive file=a,cache=$MODE').get('cache')?.control).toBe('text');
    expect(fields('-drive file=a,cache=wild').get('cache')?.values).toContain('wild');
    expect(fields('-device virtio-blk-pci,packed=maybe').get('packed')).toMatchObject({
      control: 'choice',
      values: ['on', 'off', 'maybe'],
    });
    expect(fields('-m 1G').size).toBeLessThan(3);
  });
});
