/** What a hostile or damaged qcow2 image may try (hostile-inputs: images 5, 6, 8 to 11): refused by field and byte, in little memory. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { PlatterError } from '../../../errors.ts';
import { checkImage } from '../../check.ts';
import { openImage } from '../../graph.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { noise } from '../../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../../testing/qemu.ts';

const at = testFolder();

/** A fresh image of 8 MiB with some data, as bytes that a test damages. */
function sample(options = 'compat=1.1'): Buffer {
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, at('sample.qcow2'), '8M');
  qemuIo(at('sample.qcow2'), 'write -P 1 0 1M');
  return readFileSync(at('sample.qcow2'));
}

/** The error that opening these bytes ends in. */
async function refusal(bytes: Uint8Array, readOnly = true): Promise<PlatterError> {
  try {
    const { node } = await openImage(new MemoryStorage(bytes, { name: 'hostile.qcow2' }), {
      format: 'qcow2',
      readOnly,
    });
    await node.close();
  } catch (error) {
    if (error instanceof PlatterError) return error;
    throw error;
  }
  throw new Error('it opened');
}

describe('header fields', () => {
  it.each<[field: string, offset: number, damage: (bytes: Buffer) => void]>([
    ['cluster_bits', 20, (bytes) => bytes.writeUInt32BE(8, 20)],
    ['cluster_bits', 20, (bytes) => bytes.writeUInt32BE(0xffff_ffff, 20)],
    ['refcount_order', 96, (bytes) => bytes.writeUInt32BE(7, 96)],
    ['header_length', 100, (bytes) => bytes.writeUInt32BE(0xffff_fff8, 100)],
    ['header_length', 100, (bytes) => bytes.writeUInt32BE(72, 100)],
    ['backing_file_offset', 8, (bytes) => bytes.writeBigUInt64BE(0x7fff_ffffn, 8)],
    [
      'backing_file_size',
      16,
      (bytes) => bytes.fill(Buffer.from([0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0]), 8, 20),
    ],
    ['l1_size', 36, (bytes) => bytes.writeUInt32BE(0x7fff_ffff, 36)],
    ['l1_size', 36, (bytes) => bytes.writeUInt32BE(0, 36)],
    ['l1_table_offset', 40, (bytes) => bytes.writeBigUInt64BE(0x30001n, 40)],
    ['refcount_table_offset', 48, (bytes) => bytes.writeBigUInt64BE(0x10200n, 48)],
    ['refcount_table_clusters', 56, (bytes) => bytes.writeUInt32BE(0x7fff_ffff, 56)],
    ['refcount_table_clusters', 56, (bytes) => bytes.writeUInt32BE(0, 56)],
    ['nb_snapshots', 60, (bytes) => bytes.writeUInt32BE(0x7fff_ffff, 60)],
    ['compression_type', 104, (bytes) => bytes.writeUInt8(1, 104)],
    ['size', 24, (bytes) => bytes.writeBigUInt64BE(0x1f_ffff_ffff_fe00n, 24)],
  ])('%s is held against its limits', async (field, offset, damage) => {
    const bytes = sample();
    damage(bytes);
    const error = await refusal(bytes);
    expect([error.code, error.context.field, error.context.offset]).toEqual([
      'qcow2.bad-field',
      field,
      offset,
    ]);
    expect(error.context.image).toBe('hostile.qcow2');
  });

  it.each([
    ['size', 24],
    ['l1_table_offset', 40],
    ['refcount_table_offset', 48],
    ['snapshots_offset', 64],
  ])('%s above 2^53 is refused by name', async (field, offset) => {
    const bytes = sample();
    bytes.writeBigUInt64BE(0xffff_ffff_ffff_0000n, offset);
    const error = await refusal(bytes);
    expect([error.code, error.context.field, error.context.offset]).toEqual([
      'bytes.too-large',
      field,
      offset,
    ]);
  });

  it('a tiny file that claims petabytes opens in little memory, or is refused before any is taken', async () => {
    const bytes = sample('cluster_size=2M');
    bytes.writeBigUInt64BE(1n << 50n, 24);
    bytes.writeUInt32BE(2048, 36);
    // The L1 table would be there, were the file not cut right behind its header.
    const error = await refusal(bytes.subarray(0, 2 << 20));
    expect(error.code).toBe('qcow2.truncated');
    expect(error.context.field).toBe('L1 table');
    // With its (empty) L1 table it is a sound, empty disk of a petabyte: every question has a quick answer.
    const l1 = Number(bytes.readBigUInt64BE(40));
    const whole = Buffer.alloc(l1 + 2048 * 8);
    bytes.copy(whole, 0, 0, l1);
    const { node } = await openImage(new MemoryStorage(whole), { format: 'qcow2' });
    expect(node.virtualSize).toBe(2 ** 50);
    expect((await node.map(0, 2 ** 50)).length).toBe(2 ** 50);
    await node.close();
  });
});

describe('features', () => {
  it('that are not known are refused by the name that the image gives them', async () => {
    const bytes = sample();
    bytes.writeBigUInt64BE((1n << 5n) | (1n << 40n), 72);
    // The feature table's entry for lazy refcounts becomes one for incompatible bit 5.
    const entry = bytes.indexOf('lazy refcounts') - 2;
    bytes[entry] = 0;
    bytes[entry + 1] = 5;
    bytes.write('time travel\0\0\0', entry + 2);
    const error = await refusal(bytes);
    expect(error.code).toBe('qcow2.unknown-feature');
    expect(error.context.value).toBe('time travel, bit 40');
  });

  it('encrypted images are refused by their method', async () => {
    const bytes = sample();
    bytes.writeUInt32BE(1, 32);
    const error = await refusal(bytes);
    expect([error.code, error.context.value, error.context.offset]).toEqual(['qcow2.encrypted', 'AES', 32]);
    // LUKS is known, but its header is nowhere.
    bytes.writeUInt32BE(2, 32);
    const lost = await refusal(bytes);
    expect([lost.code, lost.context.value, lost.context.offset]).toEqual(['qcow2.bad-field', 'LUKS', 32]);
  });

  it('the corrupt bit lets nobody write, the dirty bit nobody where a repair leaves faults', async () => {
    for (const [bit, code] of [
      [2, 'qcow2.corrupt'],
      [1, 'qcow2.dirty'],
    ] as const) {
      const bytes = sample();
      bytes[79] = bit;
      // A reserved bit of the first L1 entry: no count can mend that.
      bytes[Number(bytes.readBigUInt64BE(40)) + 7] |= 1;
      const { node, info } = await openImage(new MemoryStorage(bytes), { format: 'qcow2' });
      expect([info.dirty, info.formatSpecific.corrupt]).toEqual([bit === 1, bit === 2]);
      await node.close();
      expect((await refusal(bytes, false)).code).toBe(code);
    }
  });

  it('autoclear bits that are not known are cleared by a writer, and by nobody else', async () => {
    const bytes = sample();
    bytes.writeBigUInt64BE(1n << 33n, 88);
    writeFileSync(at('auto.qcow2'), bytes);
    await (await openImage(at('auto.qcow2'))).node.close();
    expect(readFileSync(at('auto.qcow2')).readBigUInt64BE(88)).toBe(1n << 33n);
    // As QEMU: whoever opens it for writing says so at once, before a snapshot, a repair or a resize may change anything.
    await (await openImage(at('auto.qcow2'), { readOnly: false })).node.close();
    expect(readFileSync(at('auto.qcow2')).readBigUInt64BE(88)).toBe(0n);
  });
});

describe('extensions and names', () => {
  it('an extension that claims more than there is', async () => {
    const bytes = sample();
    bytes.writeUInt32BE(0x7fff_ffff, 116);
    const error = await refusal(bytes);
    expect([error.code, error.context.offset]).toEqual(['qcow2.bad-extension', 116]);
  });

  it('a snapshot table with a huge record, or past the end of the file', async () => {
    qemuImg('create', '-q', '-f', 'qcow2', at('snap.qcow2'), '8M');
    qemuImg('snapshot', '-c', 'one', at('snap.qcow2'));
    const bytes = readFileSync(at('snap.qcow2'));
    const table = Number(bytes.readBigUInt64BE(64));
    const extra = Buffer.from(bytes);
    extra.writeUInt32BE(0x7fff_ffff, table + 36);
    expect((await refusal(extra)).context).toMatchObject({ field: 'extra_data_size', offset: table + 36 });
    const l1 = Buffer.from(bytes);
    l1.writeUInt32BE(0x7fff_ffff, table + 8);
    expect((await refusal(l1)).context).toMatchObject({ field: 'l1_size', offset: table + 8 });
    const count = Buffer.from(bytes);
    count.writeUInt32BE(65_536, 60);
    expect((await refusal(count)).code).toMatch(/^qcow2\.(truncated|bad-snapshot)$/);
  });
});

describe('truncated files', () => {
  it.each([0, 3, 50, 71, 100, 1000, 0x10000, 0x20000, 0x30000])('cut at byte %d', async (length) => {
    const bytes = sample();
    const error = await refusal(bytes.subarray(0, length));
    expect(error.code).toMatch(/^(bytes|qcow2)\.(truncated|bad-extension)$/);
  });

  it('cut among the data: what is there reads, what is gone says so', async () => {
    sample();
    truncateSync(at('sample.qcow2'), 0x80000);
    const { node } = await openImage(at('sample.qcow2'));
    await node.read(0, new Uint8Array(65536));
    expect(() => node.read(800_000, new Uint8Array(512))).toThrow(
      expect.objectContaining({ code: 'block.past-end' }),
    );
    expect((await checkImage(node)).corruptions).toBe(qemuCheck(at('sample.qcow2')).corruptions);
    await node.close();
  });
});

describe('tables', () => {
  /** Bytes of the sample, the place of its L2 table, and the host offset of its first data cluster. */
  function tables(): { bytes: Buffer; l2: number } {
    const bytes = sample();
    const l1 = Number(bytes.readBigUInt64BE(40));
    return { bytes, l2: Number(bytes.readBigUInt64BE(l1) & 0x00ff_ffff_ffff_fe00n) };
  }

  it.each([
    ['the refcount table', 0x8000_0000_0001_0000n],
    ['a refcount block', 0x8000_0000_0002_0000n],
    ['the L1 table', 0x8000_0000_0003_0000n],
    ['an L2 table', 0x8000_0000_0004_0000n],
  ])('data over %s: nothing is written, the image is marked corrupt', async (_, entry) => {
    const { bytes, l2 } = tables();
    bytes.writeBigUInt64BE(entry, l2 + 8);
    writeFileSync(at('overlap.qcow2'), bytes);
    const { node } = await openImage(at('overlap.qcow2'), { readOnly: false });
    const overlap = expect.objectContaining({ code: 'qcow2.overlap' });
    expect(() => node.write(65536, noise(65536, 1))).toThrow(overlap);
    expect(() => node.write(0, noise(10, 1))).toThrow(overlap);
    await node.close();
    const after = readFileSync(at('overlap.qcow2'));
    expect(after[79] & 2).toBe(2);
    after[79] = bytes[79];
    expect(Buffer.compare(after, bytes)).toBe(0);
    expect((await refusal(readFileSync(at('overlap.qcow2')), false)).code).toBe('qcow2.corrupt');
  });

  it('free clusters that are metadata (a refcount of 0): found before anything is written there', async () => {
    const { bytes } = tables();
    // The counts of the L1 table's and the first L2 table's cluster.
    bytes.writeUInt16BE(0, 0x20000 + 3 * 2);
    writeFileSync(at('freed.qcow2'), bytes);
    const { node } = await openImage(at('freed.qcow2'), { readOnly: false });
    expect(() => node.write(5 << 20, noise(512, 1))).toThrow(
      expect.objectContaining({ code: 'qcow2.overlap' }),
    );
    await node.close();
    const after = readFileSync(at('freed.qcow2'));
    expect(Buffer.compare(after.subarray(0x30000), bytes.subarray(0x30000))).toBe(0);
  });

  it('entries that are not aligned, or point past the end', async () => {
    const { bytes, l2 } = tables();
    bytes.writeBigUInt64BE(0x8000_0000_0005_0200n, l2);
    bytes.writeBigUInt64BE(0x8000_0001_0000_0000n, l2 + 8);
    bytes.writeBigUInt64BE(0x00ff_ffff_ffff_0000n, l2 + 16);
    bytes.writeBigUInt64BE(0x7fff_ffff_ffff_ffffn, l2 + 24);
    const { node } = await openImage(new MemoryStorage(bytes), { format: 'qcow2', readOnly: false });
    const read = (cluster: number): unknown => node.read(cluster * 65536, new Uint8Array(512));
    const code = (expected: string): unknown => expect.objectContaining({ code: expected });
    expect(() => read(0)).toThrow(
      expect.objectContaining({
        code: 'qcow2.corrupt-entry',
        context: expect.objectContaining({ offset: l2 }),
      }),
    );
    expect(() => read(1)).toThrow(code('block.past-end'));
    expect(() => read(2)).toThrow(code('qcow2.corrupt-entry'));
    expect(() => read(3)).toThrow(code('qcow2.corrupt-entry'));
    expect(() => node.write(65536, noise(512, 1))).toThrow(code('block.past-end'));
    await node.close();
  });
});

describe('compressed clusters', () => {
  it.each(['zlib', 'zstd'])(
    '%s that is damaged, cut, or inflates without end gives an error, never more than a cluster',
    async (type) => {
      writeFileSync(at('source.raw'), new Uint8Array(1 << 20).fill(0x41));
      const options = `compression_type=${type}`;
      qemuImg(
        'convert',
        '-c',
        '-f',
        'raw',
        '-O',
        'qcow2',
        '-o',
        options,
        at('source.raw'),
        at('packed.qcow2'),
      );
      const bytes = readFileSync(at('packed.qcow2'));
      const l1 = Number(bytes.readBigUInt64BE(40));
      const l2 = Number(bytes.readBigUInt64BE(l1) & 0x00ff_ffff_ffff_fe00n);
      const entry = bytes.readBigUInt64BE(l2);
      const place = Number(entry & ((1n << 54n) - 1n));
      const bad = async (damage: (copy: Buffer) => void): Promise<void> => {
        const copy = Buffer.from(bytes);
        damage(copy);
        const { node } = await openImage(new MemoryStorage(copy), { format: 'qcow2' });
        expect(() => node.read(0, new Uint8Array(512))).toThrow(
          expect.objectContaining({
            code: expect.stringMatching(/^qcow2\.(bad-compressed-cluster|corrupt-entry)$/),
          }),
        );
        await node.close();
      };
      await bad((copy) => copy.fill(0xff, place, place + 40));
      await bad((copy) => copy.fill(0, place, place + 40));
      await bad((copy) => copy.writeBigUInt64BE(entry | (1n << 53n), l2));
      // The start of a stream of 64 MiB: its few hundred bytes give more than one cluster.
      const bomb = deflateRawSync(new Uint8Array(64 << 20));
      if (type === 'zlib') await bad((copy) => void bomb.copy(copy, place, 0, 400));
    },
  );
});
