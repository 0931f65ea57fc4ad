import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
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
  pattern,
} from '../shared/testing/conformance.ts';
import { bytesByQemu, infoByQemu, qemuImg, qemuIo, Scratch, tool } from '../shared/testing/oracle.ts';
import { QedDriver } from './driver.ts';
import { NEED_CHECK, qedHeader } from './header.ts';
import { qed } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

function put(path: string, offset: number, value: bigint): void {
  const image = readFileSync(path);
  new DataView(image.buffer, image.byteOffset).setBigUint64(offset, value, true);
  writeFileSync(path, image);
}

interface QemuCheck {
  corruptions?: number;
  leaks?: number;
  'allocated-clusters'?: number;
  'fragmented-clusters'?: number;
  'total-clusters'?: number;
}

describe('qed', () => {
  it.each([[[]], [['cluster_size=4096', 'table_size=2']], [['cluster_size=131072', 'table_size=2']]])(
    'reads an image of QEMU, %j',
    async (options) => {
      const path = scratch.fresh('qemu.qed');
      madeByQemu(path, 'qed', '5M', ...options);
      qemuIo(
        path,
        'qed',
        'write -P 17 3M 600k',
        'write -P 34 1000k 100k',
        'write -z 1M 64k',
        'write -P 7 5242368 512',
      );
      await expectReadsAsQemu(scratch, path, 'qed');
    },
  );

  it.each([{}, { cluster_size: 4096, table_size: 2 }])('writes what QEMU reads, %j', async (options) => {
    await expectWritesForQemu(scratch, { format: qed, size: 3 * 1048576 + 512, options, check: true });
  });

  it('writes over a backing file, zeroes included', async () => {
    const base = scratch.path('base.raw');
    writeFileSync(base, pattern(2 * 1048576 + 512, 40));
    await expectWritesForQemu(scratch, {
      format: qed,
      size: 3 * 1048576,
      prepare: async (path) => {
        await createAt(path, qed, { size: 3 * 1048576, backing_file: base, backing_fmt: 'raw' });
        return bytesByQemu(scratch, path, 'qed');
      },
      openOptions: { gate: allowAll },
      check: true,
    });
  });

  it('names its backing file as QEMU does, and asks before it opens it', async () => {
    const base = scratch.path('other.raw');
    writeFileSync(base, pattern(1048576, 1));
    const path = scratch.fresh('over.qed');
    qemuImg('create', '-q', '-f', 'qed', '-b', base, '-F', 'raw', path);
    await expect(openPath(path)).rejects.toMatchObject({ code: 'gate.denied' });
    await expectReadsAsQemu(scratch, path, 'qed', { gate: allowAll });
    const node = await openPath(path, { gate: allowAll });
    const told = await node.format.describe();
    await node.close();
    const info = infoByQemu(path, 'qed');
    expect(told.backingFilename).toBe(info['backing-filename']);
    expect(told.backingFormat).toBe(info['backing-filename-format']);
  });

  it('marks the image while it is written, and clears the mark', async () => {
    const path = scratch.fresh('mark.qed');
    await createAt(path, qed, { size: 1048576 });
    const marked = () => (qedHeader.parse(readFileSync(path), path).features & NEED_CHECK) !== 0n;
    const node = await openPath(path, { readOnly: false });
    expect(marked()).toBe(false);
    await node.write(0, pattern(512, 1));
    expect(marked()).toBe(true);
    await node.close();
    expect(marked()).toBe(false);
  });

  it('counts what qemu-img check counts, and repairs it', async () => {
    const path = scratch.fresh('broken.qed');
    madeByQemu(path, 'qed', '8M', 'cluster_size=4096', 'table_size=2');
    qemuIo(path, 'qed', 'write -P 3 0 40k', 'write -P 4 4M 8k');
    const image = readFileSync(path);
    const header = qedHeader.parse(image, path);
    const view = new DataView(image.buffer, image.byteOffset);
    const table = Number(view.getBigUint64(header.l1_table_offset, true));
    put(path, table + 8, 0x7fffffff000n);
    put(path, table + 16, view.getBigUint64(table + 24, true));
    put(path, table + 32, 4097n);
    put(path, 16, NEED_CHECK);
    const node = await openPath(path);
    const found = await node.format.check?.();
    await node.close();
    const theirs = JSON.parse(
      tool('qemu-img', ['check', '--output=json', '-f', 'qed', path]).stdout,
    ) as QemuCheck;
    expect(found).toMatchObject({
      corruptions: theirs.corruptions,
      leaks: theirs.leaks,
      totalClusters: theirs['total-clusters'],
      allocatedClusters: theirs['allocated-clusters'],
    });
    expect(found?.fragmentedClusters).toBe(theirs['fragmented-clusters'] ?? 0);
    const copy = scratch.fresh('theirs.qed');
    writeFileSync(copy, readFileSync(path));
    tool('qemu-img', ['check', '-q', '-r', 'all', '-f', 'qed', copy]);
    const writable = await openPath(path, { readOnly: false });
    expect(writable.format).toBeInstanceOf(QedDriver);
    await writable.close();
    expectSameBytes(bytesByQemu(scratch, path, 'qed'), bytesByQemu(scratch, copy, 'qed'));
  });

  it('refuses unknown features by name and survives hostile headers and tables', async () => {
    const path = scratch.fresh('seed.qed');
    madeByQemu(path, 'qed', '4M', 'cluster_size=4096', 'table_size=2');
    qemuIo(path, 'qed', 'write 0 64k');
    const image = new Uint8Array(readFileSync(path));
    await expectSurvives(image, qed, [
      [0, 64],
      [4096, 16],
      [8192, 64],
    ]);
    put(path, 16, 0x100n);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'qed.unsupported',
      context: { field: 'features', value: '0x100' },
    });
  });

  it('neither reads nor writes where an entry points past the file, and counts the leaks of a huge sparse one', async () => {
    const path = scratch.fresh('far.qed');
    madeByQemu(path, 'qed', '4M', 'cluster_size=4096', 'table_size=2');
    qemuIo(path, 'qed', 'write 0 64k');
    const l2 = Number(readFileSync(path).readBigUInt64LE(4096));
    put(path, l2, 0x10_0000_0000_0000n);
    const before = statSync(path).size;
    const image = await openPath(path, { readOnly: false });
    const bad = expect.objectContaining({ code: 'qed.bad-entry' }) as Error;
    await expect(async () => image.read(0, new Uint8Array(512))).rejects.toThrowError(bad);
    await expect(async () => image.write(0, new Uint8Array(512))).rejects.toThrowError(bad);
    await image.close();
    expect(statSync(path).size).toBe(before);
    truncateSync(path, 2 ** 43);
    const sparse = await openPath(path);
    const found = await sparse.format.check?.();
    expect(found?.corruptions).toBe(1);
    expect(found?.leaks).toBeGreaterThan(2 ** 30);
    await sparse.close();
  });
});
