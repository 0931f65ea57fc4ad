import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  createAt,
  expectReadsAsQemu,
  expectSurvives,
  expectWritesForQemu,
  madeByQemu,
  openPath,
} from '../shared/testing/conformance.ts';
import { infoByQemu, qemuImg, qemuIo, Scratch, tool } from '../shared/testing/oracle.ts';
import { vdiHeader } from './header.ts';
import { vdi } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

describe('vdi', () => {
  it.each([
    ['dynamic', []],
    ['static', ['static=on']],
  ])('reads a %s image of QEMU', async (kind, options) => {
    const path = scratch.path(`${kind}.vdi`);
    madeByQemu(path, 'vdi', '5242880', ...options);
    qemuIo(
      path,
      'vdi',
      'write -P 17 3M 600k',
      'write -P 34 1000k 100k',
      'write -z 2M 64k',
      'write -P 7 5242368 512',
    );
    await expectReadsAsQemu(scratch, path, 'vdi');
  });

  it.each([{}, { static: true }])('writes what QEMU reads, %j', async (options) => {
    await expectWritesForQemu(scratch, { format: vdi, size: 5 * 1048576 - 512, options, check: true });
  });

  it('creates the layout that QEMU creates', async () => {
    const ours = scratch.path('ours.vdi');
    await createAt(ours, vdi, { size: 300 * 1048576 });
    const theirs = madeByQemu(scratch.path('theirs.vdi'), 'vdi', '300M');
    const mine = readFileSync(ours);
    expect(mine.length).toBe(theirs.length);
    const free = new Set(['text', 'uuid_image', 'uuid_last_snap']);
    const fields = (bytes: Uint8Array) =>
      vdiHeader.describe(vdiHeader.parse(bytes, 'x'), 0).filter((field) => !free.has(field.name));
    expect(fields(mine)).toEqual(fields(theirs));
    expect(infoByQemu(ours, 'vdi')['virtual-size']).toBe(300 * 1048576);
  });

  it('finds what qemu-img check finds', async () => {
    const path = scratch.path('broken.vdi');
    madeByQemu(path, 'vdi', '8M');
    qemuIo(path, 'vdi', 'write 0 3M');
    // Block 1 points at block 0's data, block 2 past the image.
    const storage = (await openPath(path, { readOnly: false })).format.storage;
    await storage.write(512 + 4, Uint8Array.of(0, 0, 0, 0, 200, 0, 0, 0));
    await storage.close();
    const node = await openPath(path);
    const found = await node.format.check?.();
    await node.close();
    const theirs = tool('qemu-img', ['check', '--output=json', '-f', 'vdi', path]);
    expect(found?.corruptions).toBe((JSON.parse(theirs.stdout) as { corruptions: number }).corruptions);
    expect(found?.corruptions).toBe(3);
  });

  it('does not allocate over a block in use when the header counts too few', async () => {
    const path = scratch.path('miscounted.vdi');
    madeByQemu(path, 'vdi', '4M');
    qemuIo(path, 'vdi', 'write -P 9 0 1M');
    let node = await openPath(path, { readOnly: false });
    const header = vdiHeader.parse(readFileSync(path), path);
    await node.format.storage.write(0, vdiHeader.encode({ ...header, blocks_allocated: 0 }));
    await node.close();
    node = await openPath(path, { readOnly: false });
    await node.write(2 << 20, new Uint8Array(512).fill(3));
    const first = new Uint8Array(1 << 20);
    await node.read(0, first);
    await node.close();
    expect(first.every((byte) => byte === 9)).toBe(true);
  });

  it('survives hostile headers and maps', async () => {
    const path = scratch.path('seed.vdi');
    madeByQemu(path, 'vdi', '4M');
    qemuImg('bench', '-q', '-f', 'vdi', '-w', '-c', '4', '-s', '4096', path);
    await expectSurvives(readFileSync(path), vdi, [
      [0, 4],
      [vdiHeader.offsetOf('signature'), 24],
      [vdiHeader.offsetOf('offset_bmap'), 120],
      [512, 16],
    ]);
  });

  it('names the field and its offset', async () => {
    const image = madeByQemu(scratch.path('field.vdi'), 'vdi', '4M');
    const at = vdiHeader.offsetOf('block_size');
    image.set([0, 0, 0, 0], at);
    const path = scratch.path('bad.vdi');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'vdi.unsupported',
      context: { field: 'block_size', offset: at, value: '0' },
    });
  });
});
