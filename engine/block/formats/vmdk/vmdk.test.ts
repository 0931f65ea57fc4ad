import { readFileSync, writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { CreateOptions } from '../../format.ts';
import { allowAll } from '../../gate.ts';
import { openFile } from '../../storage/file.ts';
import {
  createAt,
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  expectWritesForQemu,
  madeByQemu,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import {
  bytesByQemu,
  infoByQemu,
  qemuImg,
  qemuIo,
  Scratch,
  secondOpinion,
  tool,
} from '../shared/testing/oracle.ts';
import { cowdHeader, sesparseHeader, SESPARSE_MAGIC, vmdk4Header } from './header.ts';
import { vmdk } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const MIB = 1 << 20;
const GRAIN = 65536;

/** Creates every kind, its further files included, in the scratch folder. */
async function createHere(path: string, options: Omit<CreateOptions, 'size'>, size: number): Promise<void> {
  const storage = openFile(path, { create: true });
  const name = path.slice(scratch.folder.length + 1);
  await vmdk.create?.(
    storage,
    { size, ...options },
    {
      name,
      create: (other) => openFile(scratch.path(other), { create: true }),
    },
  );
  storage.close();
}

describe('vmdk', () => {
  it.each(['monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'twoGbMaxExtentFlat'])(
    'reads a %s image of QEMU',
    async (subformat) => {
      const path = scratch.fresh(`${subformat}.vmdk`);
      madeByQemu(path, 'vmdk', '5M', `subformat=${subformat}`);
      qemuIo(path, 'vmdk', 'write -P 17 3M 600k', 'write -P 34 1000k 100k', 'write -P 7 5242368 512');
      await expectReadsAsQemu(scratch, path, 'vmdk', { gate: allowAll });
    },
  );

  it('reads zeroed grains', async () => {
    const path = scratch.fresh('zeroed.vmdk');
    madeByQemu(path, 'vmdk', '5M', 'zeroed_grain=on');
    qemuIo(path, 'vmdk', 'write -P 17 0 1M', 'write -z 1M 1M', 'write -P 3 4M 64k');
    await expectReadsAsQemu(scratch, path, 'vmdk');
  });

  it.each(['3145728', '3146240'])('reads a streamOptimized image of %s bytes', async (size) => {
    const raw = scratch.fresh('source.raw');
    writeFileSync(raw, pattern(Number(size), 5).fill(0, 70000, 900000));
    const path = scratch.fresh('stream.vmdk');
    qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', raw, path);
    await expectReadsAsQemu(scratch, path, 'vmdk');
    const node = await openPath(path);
    expect((await node.map(0, 4096)).compressed).toBe(true);
    await node.close();
  });

  it.each([
    {},
    { zeroed_grain: true },
    { adapter_type: 'lsilogic', compat6: true },
    { subformat: 'monolithicFlat' },
    { subformat: 'twoGbMaxExtentSparse' },
    { subformat: 'twoGbMaxExtentFlat' },
  ])('writes what QEMU reads, %j', async (options) => {
    await expectWritesForQemu(scratch, {
      format: vmdk,
      size: 40 * GRAIN + 512,
      prepare: async (path) => {
        await createHere(path, options, 40 * GRAIN + 512);
        return new Uint8Array(40 * GRAIN + 512);
      },
      openOptions: { gate: allowAll },
      check: true,
      runs: 8,
    });
  });

  it('spreads a disk over extents of 2 GiB, and names them as QEMU does', async () => {
    for (const subformat of ['twoGbMaxExtentSparse', 'twoGbMaxExtentFlat']) {
      const path = scratch.path(`big-${subformat}.vmdk`);
      await createHere(path, { subformat }, 5 * 2 ** 30);
      const node = await openPath(path, { readOnly: false, gate: allowAll });
      const bytes = pattern(2 * MIB, 9);
      await node.write(2 ** 31 - MIB, bytes);
      await node.close();
      const compare = tool('qemu-io', ['-f', 'vmdk', '-r', '-c', `read -v ${2 ** 31 - 4} 8`, path]).stdout;
      const at = MIB - 4;
      const shown = [...bytes.subarray(at, at + 8)]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(' ');
      expect(compare).toContain(shown);
      const theirs = scratch.path(`theirs-${subformat}.vmdk`);
      qemuImg('create', '-q', '-f', 'vmdk', '-o', `subformat=${subformat}`, theirs, '5G');
      const names = (text: string) => [...text.matchAll(/"(?:big|theirs)-(.*?)"/g)].map((found) => found[1]);
      expect(names(readFileSync(path, 'latin1'))).toEqual(names(readFileSync(theirs, 'latin1')));
    }
  });

  it('creates the header that QEMU creates', async () => {
    for (const options of [{}, { subformat: 'streamOptimized' }, { zeroed_grain: true }]) {
      const ours = scratch.fresh('ours.vmdk');
      await createAt(ours, vmdk, { size: 100 * MIB, ...options });
      const given = Object.entries(options).map(
        ([key, value]) => `${key}=${value === true ? 'on' : String(value)}`,
      );
      const theirs = madeByQemu(scratch.fresh('theirs.vmdk'), 'vmdk', '100M', ...given);
      const mine = readFileSync(ours);
      expectSameBytes(mine.subarray(0, 512), theirs.subarray(0, 512));
      expectSameBytes(mine.subarray(21 * 512), theirs.subarray(21 * 512));
    }
  });

  it('tells what qemu-img info tells', async () => {
    const path = scratch.fresh('info.vmdk');
    madeByQemu(path, 'vmdk', '100M', 'subformat=twoGbMaxExtentSparse');
    const node = await openPath(path, { gate: allowAll });
    const ours = (await node.format.describe()).formatSpecific;
    await node.close();
    const theirs = infoByQemu(path, 'vmdk')['format-specific']?.data as Record<string, unknown>;
    const [extent] = theirs['extents'] as Record<string, unknown>[];
    expect(ours).toMatchObject({
      'create-type': theirs['create-type'],
      cid: theirs['cid'],
      'parent-cid': theirs['parent-cid'],
      'extents.0.format': extent['format'],
      'extents.0.virtual-size': extent['virtual-size'],
      'extents.0.cluster-size': extent['cluster-size'],
    });
  });

  it('creates a stream by writing through it once, in pieces of any size', async () => {
    for (const piece of [1000, 4096, GRAIN, 3 * GRAIN + 7]) {
      const path = scratch.fresh('made.vmdk');
      const expected = pattern(20 * GRAIN + 512, 3).fill(0, 5 * GRAIN, 9 * GRAIN - 100);
      await createAt(path, vmdk, { size: expected.length, subformat: 'streamOptimized' });
      const node = await openPath(path, { readOnly: false });
      for (let at = 0; at < expected.length; at += piece)
        await node.write(at, expected.subarray(at, at + piece));
      expectSameBytes(await readAll(node), expected);
      await node.close();
      expectSameBytes(bytesByQemu(scratch, path, 'vmdk'), expected);
      qemuImg('check', '-q', '-f', 'vmdk', path);
      const again = await openPath(path, { readOnly: false });
      await expect((async () => again.write(0, pattern(512, 1)))()).rejects.toMatchObject({
        code: 'formats.compressed-write',
      });
      await again.close();
    }
  });

  it('reads a stream whose directory stands at its end', async () => {
    const expected = pattern(3 * GRAIN, 8);
    const path = scratch.fresh('footer.vmdk');
    writeFileSync(path, streamWithFooter(expected));
    const node = await openPath(path);
    expectSameBytes(await readAll(node), expected);
    await node.close();
    expectSameBytes(bytesByQemu(scratch, path, 'vmdk'), expected);
  });

  it('changes the content identifier once when it is written', async () => {
    const path = scratch.fresh('cid.vmdk');
    await createAt(path, vmdk, { size: 4 * MIB });
    const cid = () => infoByQemu(path, 'vmdk')['format-specific']?.data['cid'];
    const before = cid();
    let node = await openPath(path, { readOnly: false });
    await node.close();
    expect(cid()).toBe(before);
    node = await openPath(path, { readOnly: false });
    await node.write(0, pattern(512, 1));
    const ours = (await node.format.describe()).formatSpecific?.['cid'];
    await node.close();
    expect(cid()).not.toBe(before);
    expect(cid()).toBe(ours);
  });

  it('reads and writes over a parent, and notices one that changed', async () => {
    const parent = scratch.path('parent.vmdk');
    madeByQemu(parent, 'vmdk', '3M');
    qemuIo(parent, 'vmdk', 'write -P 17 0 2M');
    const make = (path: string): Uint8Array => {
      qemuImg('create', '-q', '-f', 'vmdk', '-b', parent, '-F', 'vmdk', path);
      qemuIo(path, 'vmdk', 'write -P 34 1M 100k');
      return bytesByQemu(scratch, path, 'vmdk');
    };
    const child = scratch.path('child.vmdk');
    make(child);
    await expect(openPath(child)).rejects.toMatchObject({ code: 'gate.denied' });
    await expectReadsAsQemu(scratch, child, 'vmdk', { gate: allowAll });
    await expectWritesForQemu(scratch, {
      format: vmdk,
      size: 3 * MIB,
      prepare: make,
      openOptions: { gate: allowAll },
      check: true,
      runs: 5,
    });
    qemuIo(parent, 'vmdk', 'write -P 1 0 512');
    await expect(openPath(child, { gate: allowAll })).rejects.toMatchObject({ code: 'vmdk.parent-mismatch' });
  });

  it('reads vmfsSparse and seSparse as QEMU does', async () => {
    for (const [type, image] of [
      ['vmfsSparse', cowd()],
      ['seSparse', sesparse()],
    ] as const) {
      const name = `esx-${type}.bin`;
      writeFileSync(scratch.path(name), image.bytes);
      const line = type === 'seSparse' ? 'SESPARSE' : 'VMFSSPARSE';
      const path = scratch.path(`${type}.vmdk`);
      writeFileSync(
        path,
        `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="${type}"\nRW ${image.expected.length / 512} ${line} "${name}"\n`,
      );
      const node = await openPath(path, { gate: allowAll, readOnly: false });
      expect(node.readOnly).toBe(true);
      expectSameBytes(await readAll(node), image.expected);
      await node.close();
      await expectReadsAsQemu(scratch, path, 'vmdk', { gate: allowAll });
    }
  });

  it('never touches an extent without consent (CVE-2015-5163)', async () => {
    const path = scratch.fresh('evil.vmdk');
    writeFileSync(
      path,
      '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n',
    );
    await expect(openPath(path)).rejects.toMatchObject({ code: 'gate.denied' });
    writeFileSync(
      path,
      '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "nbd:localhost:1" 0\n',
    );
    await expect(openPath(path, { gate: allowAll })).rejects.toMatchObject({ code: 'gate.not-a-file-name' });
  });

  it('says what is wrong with an extent line', async () => {
    const path = scratch.fresh('lines.vmdk');
    for (const line of ['RW 0 SPARSE "a"', 'RW 8 FLAT "a"', 'RW 8 WHAT "a" 0', 'RW 8 SPARSE', '']) {
      writeFileSync(
        path,
        `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n${line}\n`,
      );
      await expect(openPath(path, { gate: allowAll })).rejects.toMatchObject({ code: 'vmdk.bad-extent' });
    }
  });

  it('survives hostile headers, directories, tables and streams', async () => {
    const path = scratch.fresh('seed.vmdk');
    madeByQemu(path, 'vmdk', '4M');
    qemuIo(path, 'vmdk', 'write 0 64k');
    const image = new Uint8Array(readFileSync(path));
    const header = vmdk4Header.parse(image, 'x');
    await expectSurvives(image, vmdk, [
      [0, 79],
      [512, 300],
      [Number(header.gd_offset) * 512, 8],
      [(Number(header.gd_offset) + 1) * 512, 8],
    ]);
    await expectSurvives(
      streamWithFooter(pattern(2 * GRAIN, 1)),
      vmdk,
      [
        [128 * 512, 40],
        [0, 79],
      ],
      200,
    );
    const footer = streamWithFooter(pattern(2 * GRAIN, 1));
    await expectSurvives(footer, vmdk, [[footer.length - 1536, 1200]], 200);
  });

  it('refuses a grain that inflates without end', async () => {
    const image = streamWithFooter(pattern(GRAIN, 1), deflateSync(new Uint8Array(64 * MIB)));
    const path = scratch.fresh('bomb.vmdk');
    writeFileSync(path, image);
    const node = await openPath(path);
    await expect((async () => node.read(0, new Uint8Array(512)))()).rejects.toMatchObject({
      code: 'vmdk.bad-compressed',
    });
    await node.close();
  });

  it('finds grains past the end', async () => {
    const path = scratch.fresh('cut.vmdk');
    madeByQemu(path, 'vmdk', '4M');
    qemuIo(path, 'vmdk', 'write 0 3M');
    const image = readFileSync(path);
    writeFileSync(path, image.subarray(0, image.length - 2 * GRAIN));
    const node = await openPath(path);
    expect((await node.format.check?.())?.corruptions).toBe(2);
    await node.close();
    expect(tool('qemu-img', ['check', '-f', 'vmdk', path]).status).not.toBe(0);
  });

  it('finds a table that lies past the end once, not once for each of its grains', async () => {
    const path = scratch.fresh('lost.vmdk');
    madeByQemu(path, 'vmdk', '64M');
    qemuIo(path, 'vmdk', 'write 0 1M', 'write 40M 64k');
    const image = readFileSync(path);
    const directory = Number(vmdk4Header.parse(image, 'x').gd_offset) * 512;
    image.writeUInt32LE(0x7fff0000, directory);
    writeFileSync(path, image);
    const node = await openPath(path);
    const found = await node.format.check?.();
    await node.close();
    expect(found?.corruptions).toBe(1);
    expect(found?.messages).toHaveLength(1);
    // The other table, whose one grain is sound, was looked at all the same.
    expect(found?.allocatedClusters).toBe(1);
  });

  it('makes sparse images that libvmdk understands', async () => {
    if (!secondOpinion('vmdkinfo')) return;
    const path = scratch.path('libyal.vmdk');
    await createAt(path, vmdk, { size: 8 * MIB });
    const node = await openPath(path, { readOnly: false });
    await node.write(MIB, pattern(MIB, 1));
    await node.close();
    const info = tool('vmdkinfo', [path]).stdout;
    expect(info).toMatch(/Disk type:\s*Monolithic sparse/);
    expect(info).toMatch(/Media size:.*8388608 bytes/);
  });
});

/** A stream as VMware's exporters write it: grains, table, directory, footer, end. */
function streamWithFooter(contents: Uint8Array, firstGrain?: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 128 * 512;
  const put = (bytes: Uint8Array): number => {
    const padded = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
    padded.set(bytes);
    parts.push(padded);
    const here = at / 512;
    at += padded.length;
    return here;
  };
  const marker = (value: number, size: number, type: number): Uint8Array => {
    const bytes = new Uint8Array(512);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, value, true);
    view.setUint32(8, size, true);
    view.setUint32(12, type, true);
    return bytes;
  };
  const table = new Uint8Array(2048);
  for (let index = 0; index * GRAIN < contents.length; index++) {
    const own = deflateSync(contents.subarray(index * GRAIN, (index + 1) * GRAIN));
    const packed = index === 0 && firstGrain !== undefined ? firstGrain : own;
    const bytes = new Uint8Array(12 + packed.length);
    new DataView(bytes.buffer).setUint32(0, index * 128, true);
    new DataView(bytes.buffer).setUint32(8, packed.length, true);
    bytes.set(packed, 12);
    new DataView(table.buffer).setUint32(index * 4, put(bytes), true);
  }
  put(marker(4, 0, 1));
  const tableAt = put(table);
  put(marker(1, 0, 2));
  const directory = new Uint8Array(512);
  new DataView(directory.buffer).setUint32(0, tableAt, true);
  const directoryAt = put(directory);
  const text = `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="streamOptimized"\nRW ${contents.length / 512} SPARSE "x.vmdk"\n`;
  const header = (gd: bigint): Uint8Array =>
    vmdk4Header.encode({
      magic: 'KDMV',
      version: 3,
      flags: 0x30001,
      capacity: contents.length / 512,
      granularity: 128,
      desc_offset: 1,
      desc_size: 20,
      num_gtes_per_gt: 512,
      rgd_offset: 0,
      gd_offset: gd,
      grain_offset: 128,
      filler: 0,
      check_bytes: Uint8Array.of(0x0a, 0x20, 0x0d, 0x0a),
      compress_algorithm: 1,
    });
  put(marker(1, 0, 3));
  put(header(BigInt(directoryAt)));
  put(marker(0, 0, 0));
  const image = new Uint8Array(at);
  image.set(header(0xffffffffffffffffn), 0);
  image.set(new TextEncoder().encode(text), 512);
  let offset = 128 * 512;
  for (const part of parts) {
    image.set(part, offset);
    offset += part.length;
  }
  return image;
}

/** A vmfsSparse extent of 4 MiB with grains 1 and 3 of 64 KiB. */
function cowd(): { bytes: Uint8Array; expected: Uint8Array } {
  const sectors = 8192;
  const bytes = new Uint8Array((4 + 1 + 32 + 256) * 512 + 123 * 512);
  bytes.set(
    cowdHeader.encode({
      magic: 'COWD',
      version: 1,
      flags: 3,
      disk_sectors: sectors,
      granularity: 128,
      l1dir_offset: 4,
      l1dir_size: 1,
      file_sectors: 416,
      cylinders: 1,
      heads: 1,
      sectors_per_track: 1,
    }),
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(4 * 512, 5, true);
  view.setUint32(5 * 512 + 4, 40, true);
  view.setUint32(5 * 512 + 12, 168, true);
  const expected = new Uint8Array(sectors * 512);
  for (const [grain, sector] of [
    [1, 40],
    [3, 168],
  ]) {
    const data = pattern(GRAIN, grain + 50);
    bytes.set(data, sector * 512);
    expected.set(data, grain * GRAIN);
  }
  return { bytes, expected };
}

/** A seSparse extent of 1 MiB: grains of 4 KiB, one stored, one zero, one unmapped. */
function sesparse(): { bytes: Uint8Array; expected: Uint8Array } {
  const sectors = 2048;
  const bytes = new Uint8Array(512 * 512);
  bytes.set(
    sesparseHeader.encode({
      magic: SESPARSE_MAGIC,
      version: 0x0000000200000001n,
      capacity: sectors,
      grain_size: 8,
      grain_table_size: 64,
      flags: 0n,
      reserved: new Uint8Array(32),
      volatile_header_offset: 1,
      volatile_header_size: 1,
      journal_header_offset: 2,
      journal_header_size: 2,
      journal_offset: 4,
      journal_size: 4,
      grain_dir_offset: 16,
      grain_dir_size: 1,
      grain_tables_offset: 64,
      grain_tables_size: 64,
      free_bitmap_offset: 200,
      free_bitmap_size: 1,
      backmap_offset: 201,
      backmap_size: 1,
      grains_offset: 256,
      grains_size: 64,
    }),
  );
  const view = new DataView(bytes.buffer);
  view.setBigUint64(512, 0xcafecafen, true);
  view.setBigUint64(16 * 512, 0x1000000000000000n, true);
  view.setBigUint64(64 * 512 + 2 * 8, 0x3003000000000000n, true);
  view.setBigUint64(64 * 512 + 3 * 8, 0x2000000000000000n, true);
  view.setBigUint64(64 * 512 + 4 * 8, 0x1000000000000000n, true);
  const data = pattern(4096, 77);
  bytes.set(data, (256 + 3 * 8) * 512);
  const expected = new Uint8Array(sectors * 512);
  expected.set(data, 2 * 4096);
  return { bytes, expected };
}
