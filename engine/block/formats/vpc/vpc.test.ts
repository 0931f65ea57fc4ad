import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { allowAll } from '../../gate.ts';
import {
  createAt,
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  expectWritesForQemu,
  madeByQemu,
  openPath,
  readAll,
} from '../shared/testing/conformance.ts';
import { infoByQemu, qemuIo, Scratch, secondOpinion, tool } from '../shared/testing/oracle.ts';
import { encodeFooter, vhdDynamicHeader, vhdFooter } from './header.ts';
import { vpc } from './index.ts';
import { differencing } from './testing/differencing.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const MIB = 1 << 20;

describe('vpc', () => {
  it.each([
    ['dynamic', '9M', ['subformat=dynamic']],
    ['fixed', '3M', ['subformat=fixed']],
    ['dynamic of forced size', '7340544', ['subformat=dynamic', 'force_size=on']],
  ])('reads a %s image of QEMU', async (kind, size, options) => {
    const path = scratch.fresh(`${kind}.vhd`);
    madeByQemu(path, 'vpc', size, ...options);
    qemuIo(path, 'vpc', 'write -P 17 1M 600k', 'write -P 34 1000k 100k', 'write -P 7 2047k 2k');
    await expectReadsAsQemu(scratch, path, 'vpc', { format: 'vpc' });
  });

  it.each([
    { subformat: 'dynamic', force_size: true },
    { subformat: 'fixed', force_size: true },
  ])('writes what QEMU reads, %j', async (options) => {
    await expectWritesForQemu(scratch, { format: vpc, size: 5 * MIB + 512, options, check: false });
  });

  it('takes the first bytes of a fixed disk for nothing but data', async () => {
    const path = scratch.fresh('any.vhd');
    await createAt(path, vpc, { size: MIB, subformat: 'fixed', force_size: true });
    for (const first of [new Uint8Array(512).fill(0xff), new TextEncoder().encode('conectix')]) {
      const node = await openPath(path, { readOnly: false, format: 'vpc' });
      await node.write(0, first);
      await node.close();
      const again = await openPath(path, { format: 'vpc' });
      const bytes = new Uint8Array(first.length);
      await again.read(0, bytes);
      expectSameBytes(bytes, first);
      await again.close();
    }
  });

  it('rounds sizes to the geometry exactly as QEMU does', async () => {
    const sizes = [
      0,
      512,
      69632,
      MIB,
      33 * MIB,
      504 * MIB - 512,
      1 << 30,
      8 * 2 ** 30 + 512,
      127 * 2 ** 30,
      2040 * 2 ** 30,
    ];
    for (const size of sizes) {
      const ours = scratch.fresh('ours.vhd');
      const theirs = madeByQemu(scratch.fresh('theirs.vhd'), 'vpc', String(size));
      await createAt(ours, vpc, { size });
      const mine = readFileSync(ours);
      expect(mine.length).toBe(theirs.length);
      const same = (bytes: Uint8Array) => {
        const { timestamp: _time, uuid: _uuid, checksum: _sum, ...rest } = vhdFooter.parse(bytes, 'x');
        return rest;
      };
      expect(same(mine)).toEqual(same(theirs));
      expectSameBytes(mine.subarray(512, mine.length - 512), theirs.subarray(512, theirs.length - 512));
      expect(infoByQemu(ours, 'vpc')['virtual-size']).toBe(vhdFooter.parse(mine, 'x').current_size);
    }
  });

  it('decides by the creator whether geometry or current_size counts', async () => {
    const image = madeByQemu(scratch.fresh('base.vhd'), 'vpc', '10M');
    const footer = vhdFooter.parse(image, 'x');
    for (const creator_app of ['vpc ', 'qemu', 'qem2', 'win ', 'd2v ', 'CTXS', 'tap', 'what']) {
      const path = scratch.fresh('creator.vhd');
      const changed = encodeFooter({ ...footer, creator_app, current_size: footer.current_size - 1536 });
      writeFileSync(path, image);
      const storage = (await openPath(path, { readOnly: false })).format.storage;
      await storage.write(0, changed);
      await storage.write(image.length - 512, changed);
      await storage.close();
      const node = await openPath(path);
      expect([creator_app, node.virtualSize]).toEqual([creator_app, infoByQemu(path, 'vpc')['virtual-size']]);
      await node.close();
    }
  });

  it('reads a differencing disk through its parent, sector by sector', async () => {
    const parentPath = scratch.path('parent.vhd');
    madeByQemu(parentPath, 'vpc', '5M', 'force_size=on');
    qemuIo(parentPath, 'vpc', 'write -P 17 0 64k', 'write -P 18 3M 1M');
    const { image, own } = differencing(readFileSync(parentPath), 'parent.vhd');
    const path = scratch.path('child.vhd');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({ code: 'gate.denied' });
    const node = await openPath(path, { gate: allowAll });
    const parent = await openPath(parentPath);
    const expected = await readAll(parent);
    for (const sector of [0, 3, 4])
      expected.set(own.subarray(sector * 512, sector * 512 + 512), sector * 512);
    expectSameBytes(await readAll(node), expected);
    expect(node.readOnly).toBe(true);
    if (secondOpinion('vhdiinfo')) {
      const info = tool('vhdiinfo', [path]).stdout;
      expect(info).toMatch(/Disk type\s*: Differential/);
      expect(info).toContain(vhdDynamicHeader.parse(image, 'x', 512).parent_uuid);
    }
    await node.close();
    await parent.close();
  });

  it('refuses a parent that is not the one', async () => {
    const image = madeByQemu(scratch.path('other.vhd'), 'vpc', '5M', 'force_size=on');
    const child = differencing(image, 'other.vhd').image;
    const path = scratch.path('orphan.vhd');
    writeFileSync(path, child);
    madeByQemu(scratch.path('other.vhd'), 'vpc', '5M', 'force_size=on');
    await expect(openPath(path, { gate: allowAll })).rejects.toMatchObject({ code: 'vpc.parent-mismatch' });
  });

  it('survives hostile headers and tables', async () => {
    const path = scratch.fresh('seed.vhd');
    madeByQemu(path, 'vpc', '5M', 'force_size=on');
    qemuIo(path, 'vpc', 'write 0 64k');
    const image = readFileSync(path);
    await expectSurvives(image, vpc, [
      [512, 60],
      [1536, 16],
    ]);
    // With checksums that fit, so that what lies behind them is reached.
    for (const field of ['current_size', 'cyls', 'data_offset', 'type'] as const) {
      const copy = image.slice();
      const at = vhdFooter.offsetOf(field);
      copy.fill(0xff, at, at + 4);
      copy.set(encodeFooter(vhdFooter.parse(copy.fill(0, at, at + 2), 'x')), 0);
      await expectSurvives(copy, vpc, [[512, 60]], 20);
    }
  });

  it('refuses block sizes that cannot be (CVE-2014-0144)', async () => {
    for (const size of [0, 128, 3 << 20, 0xffffffff]) {
      const image = madeByQemu(scratch.fresh('block.vhd'), 'vpc', '5M', 'force_size=on');
      new DataView(image.buffer, image.byteOffset).setUint32(
        512 + vhdDynamicHeader.offsetOf('block_size'),
        size,
      );
      const path = scratch.fresh('bad.vhd');
      writeFileSync(path, image);
      await expect(openPath(path)).rejects.toMatchObject({
        code: 'vpc.bad-field',
        context: { field: 'block_size' },
      });
    }
  });
});
