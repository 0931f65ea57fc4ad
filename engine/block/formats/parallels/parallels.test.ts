import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  expectWritesForQemu,
  madeByQemu,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import { bytesByQemu, qemuIo, Scratch, tool } from '../shared/testing/oracle.ts';
import { ParallelsDriver } from './driver.ts';
import { IN_USE, MAGIC_SECTORS, parallelsHeader } from './header.ts';
import { parallels } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const K = 1024;

/** The older kind: table entries in sectors; clusters 1 and 2 of 64 KiB are there, swapped. */
function oldKind(): { image: Uint8Array; expected: Uint8Array } {
  const image = new Uint8Array(64 * K + 2 * 64 * K);
  const junk = 0xdead;
  image.set(
    parallelsHeader.encode({
      magic: MAGIC_SECTORS,
      version: 2,
      heads: 16,
      cylinders: 1,
      tracks: 128,
      bat_entries: 4,
      nb_sectors: 512 + junk * 2 ** 32,
      inuse: 0,
      data_off: 128,
      flags: 0,
      ext_off: 0,
    }),
  );
  const view = new DataView(image.buffer);
  view.setUint32(64 + 4, 256, true);
  view.setUint32(64 + 8, 128, true);
  const expected = new Uint8Array(256 * K);
  for (const [cluster, sector] of [
    [1, 256],
    [2, 128],
  ]) {
    const data = pattern(64 * K, cluster);
    image.set(data, sector * 512);
    expected.set(data, cluster * 64 * K);
  }
  return { image, expected };
}

/** An image with a bitmap of granularity 64 KiB in which chunks 1, 2 and 5 are dirty. */
function withBitmap(path: string): Uint8Array {
  const made = madeByQemu(path, 'parallels', '1M', 'cluster_size=65536');
  const cluster = 64 * K;
  const image = new Uint8Array(made.length + 2 * cluster);
  image.set(made);
  const view = new DataView(image.buffer);
  const ext = made.length;
  view.setBigUint64(parallelsHeader.offsetOf('ext_off'), BigInt(ext / 512), true);
  image[ext + cluster] = 0b00100110;
  view.setBigUint64(ext, 0xab234cef23dcea87n, true);
  view.setBigUint64(ext + 24, 0x20385fae252cb34an, true);
  view.setUint32(ext + 24 + 16, 32 + 8, true);
  const feature = ext + 48;
  view.setBigUint64(feature, 2048n, true);
  image.set(
    Uint8Array.from({ length: 16 }, (_, i) => i * 17),
    feature + 8,
  );
  view.setUint32(feature + 24, 128, true);
  view.setUint32(feature + 28, 1, true);
  view.setBigUint64(feature + 32, BigInt((ext + cluster) / 512), true);
  image.set(
    createHash('md5')
      .update(image.subarray(ext + 24, ext + cluster))
      .digest(),
    ext + 8,
  );
  writeFileSync(path, image);
  return image;
}

describe('parallels', () => {
  it.each([[[]], [['cluster_size=65536']], [['cluster_size=512']]])(
    'reads an image of QEMU, %j',
    async (options) => {
      const path = scratch.fresh('qemu.hds');
      madeByQemu(path, 'parallels', '5M', ...options);
      qemuIo(path, 'parallels', 'write -P 17 3M 600k', 'write -P 34 1000k 100k', 'write -P 7 5242368 512');
      await expectReadsAsQemu(scratch, path, 'parallels');
    },
  );

  it.each([{}, { cluster_size: 65536 }])('writes what QEMU reads, %j', async (options) => {
    await expectWritesForQemu(scratch, { format: parallels, size: 3 * 1048576 + 512, options, check: false });
  });

  it('reads and writes the older magic, whose upper half of the size is chance', async () => {
    const { image, expected } = oldKind();
    const path = scratch.fresh('old.hds');
    writeFileSync(path, image);
    await expectReadsAsQemu(scratch, path, 'parallels');
    const node = await openPath(path, { readOnly: false });
    expectSameBytes(await readAll(node), expected);
    const more = pattern(70 * K, 99);
    await node.write(0, more);
    await node.close();
    expected.set(more);
    expectSameBytes(bytesByQemu(scratch, path, 'parallels'), expected);
  });

  it('marks an image as in use while it is written', async () => {
    const path = scratch.fresh('use.hds');
    madeByQemu(path, 'parallels', '4M');
    const inuse = () => parallelsHeader.parse(readFileSync(path), path).inuse;
    const node = await openPath(path, { readOnly: false });
    await node.write(0, pattern(512, 1));
    expect(inuse()).toBe(IN_USE);
    await node.close();
    expect(inuse()).toBe(0);
  });

  it('counts what qemu-img check counts, and repairs it when it is opened for writing', async () => {
    const path = scratch.fresh('broken.hds');
    madeByQemu(path, 'parallels', '8M', 'cluster_size=65536');
    qemuIo(path, 'parallels', 'write -P 3 0 640k');
    const image = new Uint8Array([...readFileSync(path), ...new Uint8Array(3 * 65536)]);
    const view = new DataView(image.buffer);
    view.setUint32(64 + 4, 0x7fff, true);
    view.setUint32(parallelsHeader.offsetOf('inuse'), IN_USE, true);
    writeFileSync(path, image);
    const node = await openPath(path);
    const found = await node.format.check?.();
    await node.close();
    const theirs = JSON.parse(
      tool('qemu-img', ['check', '--output=json', '-f', 'parallels', path]).stdout,
    ) as Record<string, number>;
    expect(found).toMatchObject({
      corruptions: theirs['corruptions'],
      totalClusters: theirs['total-clusters'],
      allocatedClusters: theirs['allocated-clusters'],
      fragmentedClusters: theirs['fragmented-clusters'],
      imageEndOffset: theirs['image-end-offset'],
    });
    const writable = await openPath(path, { readOnly: false });
    const after = await writable.format.check?.();
    await writable.close();
    expect([after?.corruptions, after?.leaks]).toEqual([0, 0]);
    expect(tool('qemu-img', ['check', '-q', '-f', 'parallels', path]).status).toBe(0);
  });

  it('reads the bitmaps of the format extension', async () => {
    const path = scratch.fresh('bitmap.hds');
    withBitmap(path);
    const node = await openPath(path);
    expect(node.format).toBeInstanceOf(ParallelsDriver);
    expect((node.format as ParallelsDriver).bitmaps).toEqual([
      {
        id: '00112233-4455-6677-8899-aabbccddeeff',
        granularity: 64 * K,
        dirtyBytes: 3 * 64 * K,
        ranges: [
          { offset: 64 * K, length: 128 * K },
          { offset: 5 * 64 * K, length: 64 * K },
        ],
      },
    ]);
    await node.close();
    await expect(openPath(path, { readOnly: false })).rejects.toMatchObject({
      code: 'parallels.extension-write',
    });
    // QEMU reads the same extension, checksum and all.
    expect(tool('qemu-img', ['info', path]).status).toBe(0);
  });

  it('survives hostile headers, tables and extensions (CVE-2014-0142)', async () => {
    const path = scratch.fresh('seed.hds');
    madeByQemu(path, 'parallels', '4M', 'cluster_size=65536');
    qemuIo(path, 'parallels', 'write 0 128k');
    await expectSurvives(new Uint8Array(readFileSync(path)), parallels, [
      [16, 48],
      [64, 16],
    ]);
    const extended = withBitmap(scratch.fresh('seed2.hds'));
    await expectSurvives(
      extended,
      parallels,
      [
        [56, 8],
        [extended.length - 2 * 65536, 120],
      ],
      200,
    );
    const zero = new Uint8Array(readFileSync(path));
    zero.fill(0, parallelsHeader.offsetOf('tracks'), parallelsHeader.offsetOf('tracks') + 4);
    writeFileSync(path, zero);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'parallels.bad-field',
      context: { field: 'tracks' },
    });
  });
});
