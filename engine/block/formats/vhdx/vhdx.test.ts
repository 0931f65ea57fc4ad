import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { allowAll } from '../../gate.ts';
import { NIL_UUID } from '../shared/layout.ts';
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
import { bytesByQemu, qemuImg, qemuIo, Scratch, secondOpinion, tool } from '../shared/testing/oracle.ts';
import {
  HEADER_BYTES,
  HEADER_OFFSETS,
  MIB,
  regionEntry,
  regionTableHeader,
  sealed,
  vhdxHeader,
  type VhdxHeader,
} from './header.ts';
import { vhdx } from './index.ts';
import { differencing } from './testing/differencing.ts';
import { LOG_SECTOR, logDescriptor, logEntryHeader } from './log.ts';
import { METADATA_TABLE_BYTES } from './metadata.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const SMALL = { block_size: MIB };
const LOG_ID = '11111111-2222-4333-8444-555555555555';

/** Byte offsets of QEMU's and Platter's layout with a log of 1 MiB. */
const BAT = 2 * MIB;
const METADATA = 3 * MIB;

function currentHeader(image: Uint8Array): VhdxHeader {
  const headers = HEADER_OFFSETS.map((offset) => vhdxHeader.parse(image, 'x', offset));
  return headers[0].sequence_number > headers[1].sequence_number ? headers[0] : headers[1];
}

function putHeaders(image: Uint8Array, change: Partial<VhdxHeader>): void {
  const header = currentHeader(image);
  for (const [index, offset] of HEADER_OFFSETS.entries()) {
    const bytes = new Uint8Array(HEADER_BYTES);
    const sequence_number = header.sequence_number + BigInt(index + 1);
    bytes.set(vhdxHeader.encode({ ...header, ...change, sequence_number }));
    image.set(sealed(bytes), offset);
  }
}

interface LogWrite {
  offset: number;
  data?: Uint8Array;
  zeroes?: number;
}

/** A log entry as [MS-VHDX] 2.3.1 has it. */
function logEntry(writes: LogWrite[], sequence: bigint, tail: number, fileSize: number): Uint8Array {
  const datas = writes.filter((one) => one.data !== undefined);
  const bytes = new Uint8Array(LOG_SECTOR * (1 + datas.length));
  bytes.set(
    logEntryHeader.encode({
      signature: 'loge',
      checksum: 0,
      entry_length: bytes.length,
      tail,
      sequence_number: sequence,
      descriptor_count: writes.length,
      reserved: 0,
      log_guid: LOG_ID,
      flushed_file_offset: fileSize,
      last_file_offset: fileSize,
    }),
  );
  let sector = LOG_SECTOR;
  writes.forEach(({ offset, data, zeroes }, index) => {
    const leading =
      data === undefined
        ? BigInt(zeroes ?? 0)
        : new DataView(data.buffer, data.byteOffset).getBigUint64(0, true);
    const trailing = data === undefined ? new Uint8Array(4) : data.slice(LOG_SECTOR - 4);
    const signature = data === undefined ? 'zero' : 'desc';
    const descriptor = logDescriptor.encode({
      signature,
      trailing,
      leading,
      file_offset: offset,
      sequence_number: sequence,
    });
    bytes.set(descriptor, logEntryHeader.size + index * logDescriptor.size);
    if (data === undefined) return;
    bytes.set(data, sector);
    bytes.set(new TextEncoder().encode('data'), sector);
    new DataView(bytes.buffer).setUint32(sector + 4, Number(sequence >> 32n), true);
    new DataView(bytes.buffer).setUint32(sector + LOG_SECTOR - 4, Number(sequence & 0xffffffffn), true);
    sector += LOG_SECTOR;
  });
  return sealed(bytes);
}

/** An image whose table stands only in its log: an older entry, then the true one, which wraps around the ring's end. */
function dirtyImage(path: string): { image: Uint8Array; expected: Uint8Array } {
  madeByQemu(path, 'vhdx', '4M', 'block_size=1M');
  qemuIo(path, 'vhdx', 'write -P 17 0 1M', 'write -P 18 2M 64k');
  const expected = bytesByQemu(scratch, path, 'vhdx');
  const image = new Uint8Array(readFileSync(path));
  const table = image.slice(BAT, BAT + LOG_SECTOR);
  image.fill(0, BAT, BAT + LOG_SECTOR);
  const at = MIB - 3 * LOG_SECTOR;
  const stale = logEntry([{ offset: BAT, zeroes: LOG_SECTOR }], 7n, at, image.length);
  const young = logEntry(
    [
      { offset: BAT, data: table },
      { offset: BAT + LOG_SECTOR, zeroes: 2 * LOG_SECTOR },
    ],
    8n,
    at,
    image.length,
  );
  image.set(stale, MIB + at);
  image.set(young.subarray(0, LOG_SECTOR), MIB + at + LOG_SECTOR);
  image.set(young.subarray(LOG_SECTOR), MIB + at + 2 * LOG_SECTOR);
  // An unrelated old entry that must not count.
  image.set(logEntry([{ offset: BAT, zeroes: LOG_SECTOR }], 3n, 0, image.length), MIB);
  putHeaders(image, { log_guid: LOG_ID });
  writeFileSync(path, image);
  return { image, expected };
}

describe('vhdx', () => {
  it.each([
    ['dynamic', ['block_size=1M']],
    ['dynamic of automatic block size', []],
    ['dynamic without zero states', ['block_size=1M', 'block_state_zero=off']],
    ['fixed', ['subformat=fixed', 'block_size=1M', 'block_state_zero=off']],
  ])('reads a %s image of QEMU', async (_kind, options) => {
    const path = scratch.fresh('qemu.vhdx');
    madeByQemu(path, 'vhdx', '5M', ...options);
    qemuIo(path, 'vhdx', 'write -P 17 3M 600k', 'write -P 34 1000k 100k', 'write -P 7 5242368 512');
    await expectReadsAsQemu(scratch, path, 'vhdx', {}, false);
  });

  it.each([SMALL, { ...SMALL, subformat: 'fixed' }, { ...SMALL, block_state_zero: false }])(
    'writes what QEMU reads, %j',
    async (options) => {
      await expectWritesForQemu(scratch, {
        format: vhdx,
        size: 5 * MIB + 512,
        options,
        check: true,
        runs: 8,
      });
    },
  );

  it('goes on with an image of QEMU', async () => {
    await expectWritesForQemu(scratch, {
      format: vhdx,
      size: 5 * MIB,
      prepare: (path) => {
        madeByQemu(path, 'vhdx', '5M', 'block_size=1M');
        qemuIo(path, 'vhdx', 'write -P 9 1M 3000k');
        return bytesByQemu(scratch, path, 'vhdx');
      },
      check: true,
      runs: 4,
    });
  });

  it('interleaves sector bitmap entries where the disk is larger than a chunk', async () => {
    const path = scratch.fresh('chunks.vhdx');
    // 256 MiB blocks: a chunk has 16 of them, so block 20 lies behind a bitmap entry.
    await createAt(path, vhdx, { size: 30 * 2 ** 30, block_size: 256 * MIB });
    const node = await openPath(path, { readOnly: false });
    const at = 20 * 256 * MIB + 4096;
    await node.write(at, pattern(4096, 5));
    await node.close();
    const out = tool('qemu-io', ['-f', 'vhdx', '-r', '-c', `read -v ${at} 16`, path]).stdout;
    expect(out).toContain('05 0c 13 1a');
    qemuImg('check', '-q', '-f', 'vhdx', path);
  });

  it('announces a write with new identifiers, once', async () => {
    const path = scratch.fresh('ids.vhdx');
    await createAt(path, vhdx, { size: 4 * MIB, ...SMALL });
    const before = currentHeader(readFileSync(path));
    const node = await openPath(path, { readOnly: false });
    expect(currentHeader(readFileSync(path))).toEqual(before);
    await node.write(0, pattern(512, 1));
    await node.write(0, pattern(512, 2));
    await node.close();
    const after = currentHeader(readFileSync(path));
    expect(after.data_write_guid).not.toBe(before.data_write_guid);
    expect(after.sequence_number).toBe(before.sequence_number + 2n);
  });

  it('replays the log in memory when read-only, and in the file when not', async () => {
    const path = scratch.fresh('dirty.vhdx');
    const { image, expected } = dirtyImage(path);
    const node = await openPath(path);
    expectSameBytes(await readAll(node), expected);
    expect((await node.format.describe()).dirty).toBe(true);
    await node.close();
    expectSameBytes(readFileSync(path), image);
    // QEMU replays the same log to the same bytes.
    const theirs = scratch.fresh('theirs.vhdx');
    writeFileSync(theirs, image);
    qemuImg('check', '-q', '-r', 'all', '-f', 'vhdx', theirs);
    expectSameBytes(bytesByQemu(scratch, theirs, 'vhdx'), expected);
    const writable = await openPath(path, { readOnly: false });
    expectSameBytes(await readAll(writable), expected);
    await writable.close();
    expect(currentHeader(readFileSync(path)).log_guid).toBe(NIL_UUID);
    expectSameBytes(bytesByQemu(scratch, path, 'vhdx'), expected);
  });

  it('refuses a log that does not hold together', async () => {
    const { image } = dirtyImage(scratch.fresh('dirty2.vhdx'));
    image.fill(0, MIB, 2 * MIB);
    const path = scratch.fresh('nolog.vhdx');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({ code: 'vhdx.bad-log' });
  });

  it('survives any damage to the log (CVE-2014-0148)', async () => {
    const { image } = dirtyImage(scratch.fresh('dirty3.vhdx'));
    await expectSurvives(
      image,
      vhdx,
      [
        [2 * MIB - 3 * LOG_SECTOR, 200],
        [MIB, 200],
      ],
      60,
    );
  });

  it('reads disks with sectors of 4096 bytes', async () => {
    const path = scratch.fresh('4k.vhdx');
    await createAt(path, vhdx, { size: 8 * MIB, ...SMALL });
    const image = new Uint8Array(readFileSync(path));
    const view = new DataView(image.buffer);
    const at = METADATA + METADATA_TABLE_BYTES + 8 + 8 + 16;
    expect(view.getUint32(at, true)).toBe(512);
    view.setUint32(at, 4096, true);
    view.setUint32(at + 4, 4096, true);
    writeFileSync(path, image);
    const node = await openPath(path, { readOnly: false });
    const bytes = pattern(3 * MIB, 77);
    await node.write(2 * MIB - 512, bytes);
    await node.close();
    const again = await openPath(path);
    const expected = new Uint8Array(8 * MIB);
    expected.set(bytes, 2 * MIB - 512);
    expectSameBytes(await readAll(again), expected);
    await again.close();
    if (secondOpinion('vhdiinfo'))
      expect(tool('vhdiinfo', [path]).stdout).toMatch(/Bytes per sector\s*: 4096/);
  });

  it('reads a differencing disk through its parent', async () => {
    const parentPath = scratch.path('parent.vhdx');
    await createAt(parentPath, vhdx, { size: 4 * MIB, ...SMALL });
    const parent = await openPath(parentPath, { readOnly: false });
    const expected = pattern(4 * MIB, 3);
    await parent.write(0, expected);
    await parent.close();
    const linkage = currentHeader(readFileSync(parentPath)).data_write_guid;
    const path = scratch.path('child.vhdx');
    const own = pattern(3 * 512, 200);
    const empty = scratch.fresh('empty.vhdx');
    await createAt(empty, vhdx, { size: 4 * MIB, ...SMALL, block_state_zero: false });
    const child = (of: string) => differencing(readFileSync(empty), 'parent.vhdx', of, own);
    writeFileSync(path, child(linkage));
    expected.set(own, 8 * 512);
    expected.fill(0, 2 * MIB, 3 * MIB);
    await expect(openPath(path)).rejects.toMatchObject({ code: 'gate.denied' });
    const node = await openPath(path, { gate: allowAll });
    expectSameBytes(await readAll(node), expected);
    await node.close();
    if (secondOpinion('vhdiinfo')) {
      const info = tool('vhdiinfo', [path]).stdout;
      expect(info).toMatch(/Disk type\s*: Differential/);
      expect(info).toContain(linkage);
    }
    writeFileSync(path, child(LOG_ID));
    await expect(openPath(path, { gate: allowAll })).rejects.toMatchObject({ code: 'vhdx.parent-mismatch' });
  });

  it('survives hostile headers, regions and metadata', async () => {
    const path = scratch.fresh('seed.vhdx');
    madeByQemu(path, 'vhdx', '4M', 'block_size=1M');
    qemuIo(path, 'vhdx', 'write 0 64k');
    const image = new Uint8Array(readFileSync(path));
    await expectSurvives(
      image,
      vhdx,
      [
        [METADATA, 192],
        [METADATA + METADATA_TABLE_BYTES, 64],
        [BAT, 32],
      ],
      150,
    );
    // With checksums that fit.
    for (const change of [
      { log_length: 0xfff00000 },
      { log_offset: 2 ** 52 },
      { version: 2 },
      { log_guid: LOG_ID },
    ]) {
      const copy = image.slice();
      putHeaders(copy, change);
      await expectSurvives(copy, vhdx, [[METADATA, 192]], 5);
    }
  });

  it('refuses regions that overlap', async () => {
    const image = madeByQemu(scratch.fresh('overlap.vhdx'), 'vhdx', '4M', 'block_size=1M');
    for (const offset of [196608, 262144]) {
      const table = image.subarray(offset, offset + 65536);
      const entry = regionEntry.parse(table, 'x', regionTableHeader.size);
      table.set(regionEntry.encode({ ...entry, file_offset: MIB }), regionTableHeader.size);
      sealed(table);
    }
    const path = scratch.fresh('bad.vhdx');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'vhdx.bad-field',
      context: { field: 'file_offset' },
    });
  });

  it('finds table entries past the end as qemu-img check does', async () => {
    const path = scratch.fresh('cut.vhdx');
    madeByQemu(path, 'vhdx', '4M', 'block_size=1M');
    qemuIo(path, 'vhdx', 'write 0 3M');
    const image = readFileSync(path);
    writeFileSync(path, image.subarray(0, image.length - 2 * MIB));
    const node = await openPath(path);
    const found = await node.format.check?.();
    expect(found?.corruptions).toBe(2);
    await node.close();
    const theirs = JSON.parse(tool('qemu-img', ['check', '--output=json', '-f', 'vhdx', path]).stdout) as {
      corruptions: number;
    };
    expect(found?.corruptions).toBe(theirs.corruptions);
  });
});
