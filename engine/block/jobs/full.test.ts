/** No space left while a job writes, on a file system that is really full: said so, and the disks are as they were. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowAll } from '../gate.ts';
import { openImage } from '../graph.ts';
import { noise } from '../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, qemuSame, testFolder } from '../testing/qemu.ts';
import { commitImage } from './commit.ts';
import { convert, type ConvertOptions } from './convert.ts';
import { createImage } from './create.ts';
import { ddImage } from './dd.ts';
import { rebaseImage } from './rebase.ts';
import { resizeImage } from './resize.ts';

const at = testFolder();
const small = (name: string): string => at(`small/${name}`);
const full = expect.objectContaining({ code: 'storage.no-space' });

/** A file system of 4 MiB; false where mounting one is not allowed. */
function mountSmall(): boolean {
  mkdirSync(at('small'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', at('small')], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('full file systems are left out: mounting one takes more rights than there are here');
    return false;
  }
}
const mounted = process.platform === 'linux' && mountSmall();

describe.skipIf(!mounted)('on a full file system', () => {
  beforeAll(() => {
    writeFileSync(at('source.raw'), noise(16 << 20, 1));
  });
  afterAll(() => {
    execFileSync('umount', ['--lazy', at('small')]);
  });

  it.each<[string, ConvertOptions]>([
    ['raw', { format: 'raw' }],
    ['qcow2', { format: 'qcow2' }],
    ['compressed qcow2', { format: 'qcow2', compress: true }],
    ['vmdk of several files', { format: 'vmdk', create: { subformat: 'twoGbMaxExtentSparse' } }],
    ['vhdx', { format: 'vhdx' }],
  ])('convert to %s leaves nothing', async (_, options) => {
    const { node } = await openImage(at('source.raw'), { format: 'raw' });
    await expect(convert(node, small('new'), options)).rejects.toEqual(full);
    expect(readdirSync(at('small'))).toEqual([]);
    writeFileSync(small('old'), 'precious');
    await expect(convert(node, small('old'), { ...options, overwrite: true })).rejects.toEqual(full);
    expect(readdirSync(at('small'))).toEqual(['old']);
    expect(readFileSync(small('old'), 'utf8')).toBe('precious');
    rmSync(small('old'));
    await expect(ddImage(node, small('new'), { format: options.format })).rejects.toEqual(full);
    expect(readdirSync(at('small'))).toEqual([]);
    await node.close();
  });

  it('create with preallocation leaves nothing', async () => {
    for (const format of ['raw', 'qcow2']) {
      const options = { format, size: 16 << 20, create: { preallocation: 'full' } };
      await expect(createImage(small('new'), options)).rejects.toEqual(full);
      expect(readdirSync(at('small'))).toEqual([]);
    }
  });

  /** Overlay and backing image, both small; the backing image stays outside when `apart`. */
  const chain = (): { base: string; top: string } => {
    qemuImg('create', '-q', '-f', 'qcow2', at('base.qcow2'), '16M');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', at('base.qcow2'), '-F', 'qcow2', at('top.qcow2'));
    qemuIo(at('top.qcow2'), 'write -P 7 0 8M');
    return { base: at('base.qcow2'), top: at('top.qcow2') };
  };

  it('commit: the overlay shows what it showed, and both are sound', async () => {
    const { base, top } = chain();
    copyFileSync(base, small('base.qcow2'));
    qemuImg('rebase', '-u', '-b', small('base.qcow2'), '-F', 'qcow2', top);
    copyFileSync(top, at('before.qcow2'));
    await expect(commitImage(top, { gate: allowAll })).rejects.toEqual(full);
    for (const image of [top, small('base.qcow2')])
      expect(qemuCheck(image)).not.toHaveProperty('corruptions');
    expect(qemuSame(top, at('before.qcow2'))).toBe(true);
    rmSync(small('base.qcow2'));
  });

  it('rebase: the overlay keeps its backing file and shows what it showed', async () => {
    const { base } = chain();
    qemuIo(base, 'write -P 9 0 8M');
    const top = small('top.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', top);
    await expect(rebaseImage(top, { backing: '', gate: allowAll })).rejects.toEqual(full);
    expect(qemuCheck(top)).not.toHaveProperty('corruptions');
    expect(qemuSame(top, base)).toBe(true);
    rmSync(top);
  });

  it('resize with preallocation: what was there stays, and the image is sound', async () => {
    const path = small('disk.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', path, '1M');
    qemuIo(path, 'write -P 5 0 1M');
    const { node } = await openImage(path, { readOnly: false });
    await expect(resizeImage(node, 16 << 20, { preallocation: 'full' })).rejects.toEqual(full);
    await (async () => node.close())().catch(() => undefined);
    expect(qemuCheck(path)).not.toHaveProperty('corruptions');
    qemuIo(path, 'read -P 5 0 1M');
    rmSync(path);
  });
});
