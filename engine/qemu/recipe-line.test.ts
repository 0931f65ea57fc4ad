import { describe, expect, it } from 'vitest';
import { lint } from './lint.ts';
import { parseCommandLine } from './parse.ts';
import { fillRecipe, insertLine, recipeParameters } from './recipe-line.ts';
import { recipeById, RECIPES } from './recipes.ts';

const recipe = (id: string) => recipeById(id) ?? expect.fail(id);

describe('a recipe made one’s own', () => {
  it('offers its files and numbers, and no names of nodes', () => {
    expect(recipeParameters(recipe('throttled')).map((p) => `${p.of} ${p.key}=${p.value}`)).toEqual([
      'limits x-iops-total=500',
      'limits x-iops-total-max=2000',
      'limits x-bps-total=52428800',
      'disk0 file.filename=disk.qcow2',
    ]);
  });

  it('writes a value as the place demands, and leaves what is not given', () => {
    const [file] = recipeParameters(recipe('cdrom'));
    const text = fillRecipe(recipe('cdrom'), { [file.id]: "my disk,it's.iso" });
    const line = parseCommandLine(text);
    expect(line.problems).toEqual([]);
    const written = line.options.flatMap((o) => o.params).find((p) => p.key === 'file.filename');
    expect(written?.value).toBe("my disk,it's.iso");
    expect(fillRecipe(recipe('cdrom'), { [file.id]: ' ' })).toBe(recipe('cdrom').line);
  });

  it('goes into a line behind what is there, with names of its own', () => {
    const line = parseCommandLine(recipe('fast-virtio-blk').line);
    const text = insertLine(line, recipe('many-disks').line);
    expect(text.startsWith(line.text)).toBe(true);
    expect(text.match(/-machine/g)).toHaveLength(1);
    expect(text).toContain('node-name=disk3');
    expect(text).toContain('drive=disk3,id=sda,bootindex=2');
    expect(text).toContain('iothread,id=io1');
    expect(text).toContain('virtio-scsi-pci,id=scsi0,iothread=io1');
  });

  it('twice has its bus renamed with it', () => {
    const line = parseCommandLine(recipe('thin').line);
    expect(insertLine(line, recipe('thin').line)).toContain(
      '-device scsi-hd,bus=scsi1.0,drive=disk1,id=sda1',
    );
  });

  it('is whole in an empty line', () => {
    expect(insertLine(parseCommandLine(''), recipe('nvme').line)).toBe(recipe('nvme').line);
  });

  it.each(RECIPES)('$id beside another disk brings no error of its own', ({ id, line }) => {
    const base = parseCommandLine(
      id === 'old-guest'
        ? 'qemu-system-x86_64 -machine pc -drive file=a.raw,format=raw,if=none,id=disk0 -device virtio-blk-pci,drive=disk0,bootindex=3'
        : 'qemu-system-x86_64 -machine q35 -drive file=a.raw,format=raw,if=none,id=disk0 -device virtio-blk-pci,drive=disk0,bootindex=3',
    );
    const problems = lint(parseCommandLine(insertLine(base, line)), { version: '7.2' });
    expect(problems.filter((p) => p.severity === 'error')).toEqual([]);
  });
});
