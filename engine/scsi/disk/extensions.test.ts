/** Commands that QEMU's emulated disks do not have, so that no comparison covers them: each against its section of the standard. */
import { describe, expect, it } from 'vitest';
import { openImage } from '../../block/graph.ts';
import { openFile } from '../../block/storage/file.ts';
import { qemuImg, qemuIo, testFolder } from '../../block/testing/qemu.ts';
import { arrayNode } from '../../virtio/testing/rig.ts';
import { decodeCdb } from '../cdb.ts';
import { blockTransfer, PREPARED, STATUS } from '../command.ts';
import { cdbLength, OPCODE } from '../opcode.ts';
import { SENSE } from '../sense.ts';
import { ScsiDisk } from './disk.ts';
import { memoryDisk, send } from './testing.ts';

const MIB = 1024 * 1024;
const BLOCK = 512;

describe('COMPARE AND WRITE (SBC-3 5.2)', () => {
  const cas = (lba: number, blocks: number): number[] => [
    0x89,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    lba,
    0,
    0,
    0,
    blocks,
    0,
    0,
  ];
  const pair = (compare: number, write: number): Uint8Array =>
    new Uint8Array(2 * BLOCK).fill(compare, 0, BLOCK).fill(write, BLOCK);
  const read = async (disk: ScsiDisk, lba: number): Promise<number> =>
    (await send(disk, [0x28, 0, 0, 0, 0, lba, 0, 0, 1, 0])).data[BLOCK - 1];

  it('writes when the block is what it was thought to be, and nothing otherwise', async () => {
    const disk = await memoryDisk(MIB);
    expect((await send(disk, cas(3, 1), { out: pair(0, 7) })).status).toBe(STATUS.good);
    expect(await read(disk, 3)).toBe(7);
    const lost = await send(disk, cas(3, 1), { out: pair(0, 9) });
    expect([lost.status, lost.sense]).toEqual([STATUS.checkCondition, SENSE.miscompare]);
    expect(await read(disk, 3)).toBe(7);
    const nearly = pair(7, 9);
    nearly[BLOCK - 1] = 8;
    expect((await send(disk, cas(3, 1), { out: nearly })).sense).toEqual(SENSE.miscompare);
    expect(await read(disk, 3)).toBe(7);
  });

  it('lets nothing come between the two, though the medium answers later', async () => {
    const slow = arrayNode(MIB);
    const node = {
      ...slow,
      read: async (offset: number, target: Uint8Array) => {
        await new Promise((resolve) => setImmediate(resolve));
        await slow.read(offset, target);
      },
      write: async (offset: number, source: Uint8Array) => {
        await new Promise((resolve) => setImmediate(resolve));
        await slow.write(offset, source);
      },
    };
    const disk = new ScsiDisk({ node, kind: 'disk' });
    disk.takeAttention('I');
    // Each takes the same lock, as hosts that share a disk do: one of them has it.
    const tries = await Promise.all([1, 2, 3].map((who) => send(disk, cas(5, 1), { out: pair(0, who) })));
    expect(tries.map(({ status }) => status)).toEqual([
      STATUS.good,
      STATUS.checkCondition,
      STATUS.checkCondition,
    ]);
    expect(slow.disk[5 * BLOCK]).toBe(1);
  });

  it('refuses more blocks than page B0h promises, half a buffer, and what is past the end', async () => {
    const disk = await memoryDisk(100 * BLOCK);
    expect((await send(disk, cas(0, 2), { out: new Uint8Array(4 * BLOCK) })).sense).toEqual(
      SENSE.invalidField,
    );
    expect((await send(disk, cas(0, 1), { out: new Uint8Array(BLOCK) })).sense).toEqual(
      SENSE.invalidParamLength,
    );
    expect((await send(disk, cas(100, 1), { out: pair(0, 1) })).sense).toEqual(SENSE.lbaOutOfRange);
    expect((await send(disk, cas(100, 0))).status).toBe(STATUS.good);
    const limits = await send(disk, [0x12, 1, 0xb0, 0, 255, 0]);
    expect(limits.data[5]).toBe(1);
  });
});

describe('REPORT SUPPORTED OPERATION CODES (SPC-4 6.35)', () => {
  const report = (option: number, opcode = 0, action = 0): number[] => [
    0xa3,
    0x0c,
    option,
    opcode,
    action >> 8,
    action & 255,
    0,
    0,
    255,
    255,
    0,
    0,
  ];

  it.each(['disk', 'cdrom'] as const)('a %s lists what it answers, and nothing else', async (kind) => {
    const disk = await memoryDisk(MIB, { kind });
    const { data } = await send(disk, report(0));
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    // What follows the list up to the allocation length is zeroes, as QEMU's disks pad every answer.
    const end = 4 + view.getUint32(0);
    expect(data.subarray(end).every((byte) => byte === 0)).toBe(true);
    const listed = new Set<number>();
    for (let at = 4; at < end; at += 8) {
      listed.add(data[at]);
      expect(view.getUint16(at + 6)).toBe(cdbLength(data[at]));
    }
    for (let opcode = 0; opcode < 256; opcode++) {
      const length = cdbLength(opcode);
      if (length === 0) continue;
      const probe = await memoryDisk(MIB, { kind });
      const cdb = [opcode, ...Array<number>(length - 1).fill(0)];
      // A 0 would mean 256 blocks in six bytes: more than is looked at before the code is, as in QEMU.
      if (length === 6) cdb[4] = 1;
      const { sense } = await send(probe, cdb, { out: new Uint8Array(4096) });
      const refused = sense?.asc === SENSE.invalidOpcode.asc && sense.key === SENSE.invalidOpcode.key;
      // REPORT LUNS is answered by the target, for which the disk speaks here.
      if (opcode !== OPCODE.reportLuns) expect([opcode, !refused]).toEqual([opcode, listed.has(opcode)]);
    }
  });

  it('tells of timeouts when they are asked for: none', async () => {
    const disk = await memoryDisk(MIB);
    const RCTD = 0x80;
    const all = (await send(disk, report(RCTD))).data;
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    for (let at = 4; at < 4 + view.getUint32(0); at += 20) {
      expect(all[at + 5] & 2).toBe(2);
      expect(view.getUint16(at + 8)).toBe(10);
      expect([...all.subarray(at + 10, at + 20)]).toEqual(Array<number>(10).fill(0));
    }
    const one = (await send(disk, report(RCTD | 1, 0x28))).data;
    expect([one[1], one[3]]).toEqual([0x83, 10]);
    expect([...one.subarray(14, 26)]).toEqual([0, 10, ...Array<number>(10).fill(0)]);
  });

  it('says of one command whether it is there, and with which service actions', async () => {
    const disk = await memoryDisk(MIB);
    const support = async (...args: [number, number, number?]): Promise<number> =>
      (await send(disk, report(...args))).data[1] & 7;
    expect(await support(1, 0x28)).toBe(3);
    expect(await support(1, 0x77)).toBe(1);
    expect(await support(2, 0x9e, 0x10)).toBe(3);
    expect(await support(2, 0x9e, 0x1f)).toBe(1);
    expect(await support(3, 0x28)).toBe(3);
    // One without service actions has none but 0.
    expect(await support(3, 0x28, 1)).toBe(1);
    expect(await support(1, OPCODE.reportLuns)).toBe(3);
    // Table 187: a command with service actions is not asked for without one, nor the other way round.
    for (const cdb of [report(1, 0x9e), report(2, 0x28), report(4)])
      expect((await send(disk, cdb)).sense).toEqual(SENSE.invalidField);
  });
});

describe('GET LBA STATUS (SBC-3 5.6)', () => {
  const status = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];

  it('looks at a bounded number of extents, and never says more blocks than four bytes hold', async () => {
    let looks = 0;
    const node = (extent: number) => ({
      ...arrayNode(0),
      virtualSize: 2 ** 43,
      map: (offset: number, length: number) => {
        looks++;
        return { offset, length: Math.min(length, extent), kind: 'data' as const };
      },
    });
    const answer = async (extent: number): Promise<[number, number][]> => {
      looks = 0;
      const disk = new ScsiDisk({ node: node(extent), kind: 'disk' });
      disk.takeAttention('I');
      const { data } = await send(disk, status);
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      return Array.from({ length: (view.getUint32(0) - 4) / 16 }, (_, i) => [
        Number(view.getBigUint64(8 + i * 16)),
        view.getUint32(16 + i * 16),
      ]);
    };
    // Cut into clusters that differ in nothing: the first 4096 of them.
    expect(await answer(65536)).toEqual([[0, 4096 * 128]]);
    expect(looks).toBe(4096);
    // 8 TiB in one piece: 2^34 blocks, of which a descriptor can hold a quarter less one.
    const pieces = await answer(Infinity);
    expect(pieces.reduce((sum, [, blocks]) => sum + blocks, 0)).toBe(2 ** 34);
    expect(pieces.slice(0, 2)).toEqual([
      [0, 0xffff_ffff],
      [0xffff_ffff, 0xffff_ffff],
    ]);
  });

  const folder = testFolder();

  it('says of each range what qemu-img map says of it', async () => {
    const path = folder('thin.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', path, '8M');
    qemuIo(path, 'write 0 64k', 'write 1M 192k', 'write 5M 64k', 'discard 1M 64k');
    const map = JSON.parse(qemuImg('map', '--output=json', path)) as {
      start: number;
      length: number;
      data: boolean;
    }[];
    const storage = await openFile(path, { readOnly: true });
    const { node } = await openImage(storage, { format: 'qcow2', readOnly: true });
    const disk = new ScsiDisk({ node, kind: 'disk' });
    disk.takeAttention('I');
    const { data } = await send(disk, [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const found: [number, number, boolean][] = [];
    for (let at = 8; at < 4 + view.getUint32(0); at += 16)
      found.push([Number(view.getBigUint64(at)), view.getUint32(at + 8), view.getUint8(at + 12) === 0]);
    const within = (start: number, length: number, has: boolean): boolean =>
      found.some(
        ([lba, blocks, mapped]) =>
          mapped === has && lba * BLOCK <= start && (lba + blocks) * BLOCK >= start + length,
      );
    for (const { start, length, data: has } of map) {
      // A hole that was written and discarded is a cluster of zeroes, which is mapped all the same.
      if (has || start > MIB + 64 * 1024) expect([start, within(start, length, has)]).toEqual([start, true]);
    }
    expect(found.reduce((sum, [, blocks]) => sum + blocks, 0)).toBe((8 * MIB) / BLOCK);
    expect(map.filter(({ data: has }) => has).length).toBe(3);
    await node.close();
  });
});

describe('the write cache is off (SBC-3 4.15), or FUA is set', () => {
  const zeroes = new Uint8Array(BLOCK);
  const ones = new Uint8Array(BLOCK).fill(1);
  const pair = new Uint8Array(2 * BLOCK).fill(1, BLOCK);
  const cas = (flags: number): number[] => [0x89, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
  const same = [0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];

  it.each<[string, number[], Uint8Array, boolean, number]>([
    ['WRITE SAME of zeroes', same, zeroes, false, 1],
    ['WRITE SAME of a pattern', same, ones, false, 1],
    ['COMPARE AND WRITE', cas(0), pair, false, 1],
    ['WRITE SAME with the cache on', same, ones, true, 0],
    ['COMPARE AND WRITE with the cache on', cas(0), pair, true, 0],
    ['COMPARE AND WRITE with FUA', cas(8), pair, true, 1],
  ])('%s: what was written is stable before the command ends', async (_, cdb, out, writeCache, flushes) => {
    const node = arrayNode(64 * BLOCK);
    const disk = new ScsiDisk({ node, kind: 'disk', writeCache });
    disk.takeAttention('I');
    expect((await send(disk, cdb, { out })).status).toBe(STATUS.good);
    expect(node.flushes).toBe(flushes);
    // The same when an adapter carries the transfer out.
    if (cdb[0] !== 0x93) return;
    const into = blockTransfer();
    const command = decodeCdb(Uint8Array.from(cdb));
    if (command === undefined) throw new Error('no CDB');
    const prepared = disk.run({ cdb: command, initiator: 'I', dataOut: [out], dataIn: [] }, into);
    if (prepared === PREPARED.transfer) expect(into.through).toBe(!writeCache);
  });
});

describe('PERSISTENT RESERVE (SPC-4 5.14)', () => {
  const out = (action: number, type: number, key: number, serviceKey: number): [number[], Uint8Array] => {
    const list = new Uint8Array(24);
    list[7] = key;
    list[15] = serviceKey;
    return [[0x5f, action, type, 0, 0, 0, 0, 0, 24, 0], list];
  };
  const READ = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
  const WRITE = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];

  /** Tables 58 and 53: what a registered and an unregistered initiator may do while I holds the reservation. */
  it.each([
    ['write exclusive', 1, 'r-', 'r-'],
    ['exclusive access', 3, '--', '--'],
    ['write exclusive, registrants only', 5, 'rw', 'r-'],
    ['exclusive access, registrants only', 6, 'rw', '--'],
    ['write exclusive, all registrants', 7, 'rw', 'r-'],
    ['exclusive access, all registrants', 8, 'rw', '--'],
  ])('%s', async (_, type, registered, stranger) => {
    const disk = await memoryDisk(MIB);
    for (const initiator of ['J', 'K']) disk.takeAttention(initiator);
    const order = async (initiator: string, [cdb, list]: [number[], Uint8Array]): Promise<number> =>
      (await send(disk, cdb, { out: list, initiator })).status;
    const may = async (initiator: string): Promise<string> => {
      const block = { out: new Uint8Array(BLOCK), initiator };
      const ok = async (cdb: number[], options: object): Promise<boolean> =>
        (await send(disk, cdb, options)).status === STATUS.good;
      return `${(await ok(READ, { initiator })) ? 'r' : '-'}${(await ok(WRITE, block)) ? 'w' : '-'}`;
    };
    for (const [initiator, key] of [
      ['I', 1],
      ['J', 2],
    ] as const)
      expect(await order(initiator, out(0, 0, 0, key))).toBe(STATUS.good);
    expect(await order('I', out(1, type, 1, 0))).toBe(STATUS.good);
    expect(await may('I')).toBe('rw');
    expect(await may('J')).toBe(registered);
    expect(await may('K')).toBe(stranger);
    // READ KEYS and READ RESERVATION are everybody's.
    const keys = await send(disk, [0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], { initiator: 'K' });
    expect([...keys.data.subarray(4)].filter((byte) => byte !== 0)).toEqual([16, 1, 2]);
    const held = await send(disk, [0x5e, 1, 0, 0, 0, 0, 0, 1, 0, 0], { initiator: 'K' });
    expect([held.data[7], held.data[21]]).toEqual([16, type]);
    // A release of another type is refused; the right one opens the disk.
    expect((await send(disk, ...asSend(out(2, type === 1 ? 3 : 1, 1, 0)))).sense).toMatchObject({
      key: 5,
      asc: 0x26,
      ascq: 4,
    });
    expect(await order('I', out(2, type, 1, 0))).toBe(STATUS.good);
    disk.takeAttention('J');
    expect([await may('J'), await may('K')]).toEqual(['rw', 'rw']);
    // PREEMPT AND ABORT takes the registration of another away, and tells it so.
    expect(await order('K', out(0, 0, 0, 3))).toBe(STATUS.good);
    expect(await order('J', out(5, type, 2, 3))).toBe(STATUS.good);
    expect(disk.takeAttention('K')).toEqual(SENSE.registrationsPreempted);
    // CLEAR takes every key away.
    expect(await order('J', out(3, 0, 2, 0))).toBe(STATUS.good);
    const none = await send(disk, [0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0], { initiator: 'K' });
    expect(none.data[7]).toBe(0);
  });
});

function asSend([cdb, list]: [number[], Uint8Array]): [number[], { out: Uint8Array }] {
  return [cdb, { out: list }];
}
