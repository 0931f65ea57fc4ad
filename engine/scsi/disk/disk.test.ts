import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../../block/node.ts';
import { STATUS } from '../command.ts';
import { cdbLength } from '../opcode.ts';
import { SENSE } from '../sense.ts';
import { decodeCdb } from '../cdb.ts';
import { memoryDisk, memoryNode, send } from './testing.ts';

const be32 = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];
const read10 = (lba: number, blocks: number): number[] => [
  0x28,
  0,
  ...be32(lba),
  0,
  blocks >> 8,
  blocks & 255,
  0,
];
const write10 = (lba: number, blocks: number): number[] => [
  0x2a,
  0,
  ...be32(lba),
  0,
  blocks >> 8,
  blocks & 255,
  0,
];
const ascii = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const MIB = 1024 * 1024;

describe('INQUIRY (SPC-4 6.6)', () => {
  it('names QEMU, SPC-3 and command queuing in 36 bytes', async () => {
    const { data } = await send(await memoryDisk(MIB), [0x12, 0, 0, 0, 36, 0]);
    expect(data.length).toBe(36);
    expect([...data.subarray(0, 8)]).toEqual([0, 0, 5, 0x12, 31, 0, 0, 0x12]);
    expect(ascii(data.subarray(8))).toBe('QEMU    QEMU HARDDISK   2.5+');
  });

  it('lists page 80h only with a serial number, and cuts it at 36 characters', async () => {
    const bare = await send(await memoryDisk(MIB), [0x12, 1, 0, 0, 255, 0]);
    // Filled up to the allocation length, as QEMU does.
    expect(bare.data.length).toBe(255);
    expect([...bare.data.subarray(0, 10)]).toEqual([0, 0, 0, 5, 0, 0x83, 0xb0, 0xb1, 0xb2, 0]);
    const disk = await memoryDisk(MIB, { serial: 's'.repeat(50) });
    const { data } = await send(disk, [0x12, 1, 0x80, 0, 255, 0]);
    expect([data[3], data[4 + 35], data[4 + 36]]).toEqual([36, 's'.charCodeAt(0), 0]);
    expect((await send(await memoryDisk(MIB), [0x12, 1, 0x80, 0, 255, 0])).sense).toEqual(SENSE.invalidField);
  });

  it('is answered while a unit attention is pending, which the next command then reports once', async () => {
    const disk = await memoryDisk(MIB);
    disk.reset();
    expect((await send(disk, [0x12, 0, 0, 0, 36, 0])).status).toBe(STATUS.good);
    expect((await send(disk, [0, 0, 0, 0, 0, 0])).sense).toEqual(SENSE.reset);
    expect((await send(disk, [0, 0, 0, 0, 0, 0])).status).toBe(STATUS.good);
    // Another initiator has not been told yet.
    expect((await send(disk, [0, 0, 0, 0, 0, 0], { initiator: 'J' })).sense).toEqual(SENSE.reset);
  });
});

describe('READ and WRITE (SBC-3)', () => {
  it('agree with a plain byte array over random sequences', async () => {
    const blocks = 256;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ lba: fc.nat(blocks + 3), count: fc.nat(20), byte: fc.nat(255), write: fc.boolean() }),
          {
            maxLength: 40,
          },
        ),
        async (steps) => {
          const disk = await memoryDisk(blocks * 512);
          const model = new Uint8Array(blocks * 512);
          for (const { lba, count, byte, write } of steps) {
            const inside = lba + count <= blocks;
            const answer = write
              ? await send(disk, write10(lba, count), { out: new Uint8Array(count * 512).fill(byte) })
              : await send(disk, read10(lba, count));
            expect(answer.sense).toEqual(inside ? undefined : SENSE.lbaOutOfRange);
            if (inside && write) {
              model.fill(byte, lba * 512, (lba + count) * 512);
            } else if (inside) {
              expect(Buffer.compare(answer.data, model.subarray(lba * 512, (lba + count) * 512))).toBe(0);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('treats a 0 of READ(6) as 256 blocks and never lets 64-bit addresses wrap', async () => {
    const disk = await memoryDisk(MIB);
    expect((await send(disk, [0x08, 0, 0, 0, 0, 0], { room: 256 * 512 })).moved).toBe(256 * 512);
    const far = [0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0];
    expect((await send(disk, far)).sense).toEqual(SENSE.lbaOutOfRange);
  });

  it('refuses writes to a read-only medium as write protected', async () => {
    const disk = await memoryDisk(MIB, { node: await memoryNode(MIB, true) });
    const answer = await send(disk, write10(0, 1), { out: new Uint8Array(512) });
    expect(answer.sense).toEqual(SENSE.writeProtected);
    const sense = await send(disk, [0x1a, 0, 0x3f, 0, 255, 0]);
    expect(sense.data[2] & 0x80).toBe(0x80);
  });
});

describe('MODE SELECT (SPC-4 6.9)', () => {
  const cachingPage = (wce: boolean): number[] => [
    0x08,
    0x12,
    wce ? 4 : 0,
    ...Array.from({ length: 17 }, () => 0),
  ];

  it('changes the write cache, and nothing at all when one page of several is wrong', async () => {
    const disk = await memoryDisk(MIB);
    const select = (pages: number[]): ReturnType<typeof send> =>
      send(disk, [0x15, 0x10, 0, 0, 4 + pages.length, 0], { out: Uint8Array.of(0, 0, 0, 0, ...pages) });
    const badErrorPage = [0x01, 10, 0x00, ...Array.from({ length: 9 }, () => 0)];
    expect((await select([...cachingPage(false), ...badErrorPage])).sense).toEqual(SENSE.invalidParam);
    expect(disk.state.writeCache).toBe(true);
    expect((await select(cachingPage(false))).status).toBe(STATUS.good);
    expect(disk.state.writeCache).toBe(false);
    expect((await send(disk, [0x1a, 8, 0x08, 0, 255, 0])).data[4 + 2]).toBe(0);
  });
});

describe('the control mode page (SPC-4 7.5.8)', () => {
  it('is answered when asked for, and cannot be changed', async () => {
    const disk = await memoryDisk(MIB);
    const { data } = await send(disk, [0x1a, 8, 0x0a, 0, 16, 0]);
    expect([...data]).toEqual([15, 0, 0, 0, 0x0a, 10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0]);
    const select = (byte: number): ReturnType<typeof send> =>
      send(disk, [0x15, 0x10, 0, 0, 16, 0], {
        out: Uint8Array.of(0, 0, 0, 0, 0x0a, 10, byte, 0x10, 0, 0, 0, 0, 0, 0, 0, 0),
      });
    expect((await select(0)).status).toBe(STATUS.good);
    expect((await select(4)).sense).toEqual(SENSE.invalidParam); // D_SENSE
  });
});

describe('the block descriptor of MODE SELECT (SBC-3 6.5.2)', () => {
  it('changes the block length to a multiple of 512 and to nothing less (CVE-2023-42467)', async () => {
    const disk = await memoryDisk(MIB);
    const select = (bytes: number): ReturnType<typeof send> =>
      send(disk, [0x15, 0x10, 0, 0, 12, 0], {
        out: Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, bytes >> 16, (bytes >> 8) & 255, bytes & 255),
      });
    expect((await select(4096)).status).toBe(STATUS.good);
    expect(disk.blockSize).toBe(4096);
    expect([...(await send(disk, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0])).data]).toEqual([
      ...be32(255),
      0,
      0,
      16,
      0,
    ]);
    for (const bad of [0, 1, 256, 511, 513, 0x10000]) {
      expect((await select(bad)).status).toBe(STATUS.good);
      expect(disk.blockSize).toBe(4096);
    }
  });
});

describe('pending unit attentions (SAM-5 5.14)', () => {
  it('keep the most urgent one', async () => {
    const disk = await memoryDisk(MIB);
    disk.capacityChanged();
    disk.reset();
    disk.capacityChanged();
    expect(disk.pendingAttention('I')).toEqual(SENSE.reset);
    disk.takeAttention('I');
    disk.capacityChanged();
    expect(disk.pendingAttention('I')).toEqual(SENSE.capacityChanged);
  });
});

describe('UNMAP and WRITE SAME (SBC-3 5.28, 5.48)', () => {
  const unmapList = (ranges: [number, number][]): Uint8Array =>
    Uint8Array.from([
      0,
      6 + 16 * ranges.length,
      0,
      16 * ranges.length,
      ...be32(0),
      ...ranges.flatMap(([lba, blocks]) => [0, 0, 0, 0, ...be32(lba), ...be32(blocks), 0, 0, 0, 0]),
    ]);
  const unmap = (length: number): number[] => [0x42, 0, 0, 0, 0, 0, 0, length >> 8, length & 255, 0];

  it('discards every range or none', async () => {
    const node = await memoryNode(MIB);
    const discarded: [number, number][] = [];
    const watched: BlockNode = Object.create(node, {
      discard: { value: (offset: number, length: number) => void discarded.push([offset, length]) },
      virtualSize: { value: node.virtualSize },
      readOnly: { value: false },
    });
    const disk = await memoryDisk(MIB, { node: watched });
    const bad = unmapList([
      [0, 4],
      [2047, 2],
    ]);
    expect((await send(disk, unmap(bad.length), { out: bad })).sense).toEqual(SENSE.lbaOutOfRange);
    expect(discarded).toEqual([]);
    const list = unmapList([
      [0, 4],
      [8, 1],
      [9, 0],
    ]);
    expect((await send(disk, unmap(list.length), { out: list })).status).toBe(STATUS.good);
    expect(discarded).toEqual([
      [0, 2048],
      [4096, 512],
    ]);
  });

  it('refuses lists whose lengths contradict each other (CVE-2020-1711 and its kin)', async () => {
    const disk = await memoryDisk(MIB);
    for (const out of [
      Uint8Array.of(0),
      Uint8Array.of(0, 30, 0, 16, 0, 0, 0, 0),
      Uint8Array.of(0, 13, 0, 7, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7),
    ]) {
      expect((await send(disk, unmap(out.length), { out })).sense).toEqual(SENSE.invalidParamLength);
    }
  });

  it('repeats a block that is no divisor of the chunk to the very end', async () => {
    const disk = await memoryDisk(4 * MIB);
    const block = Uint8Array.from({ length: 512 }, (_, index) => index & 255);
    const same = [0x41, 0, ...be32(3), 0, 0x13, 0x88, 0]; // 5000 blocks
    expect((await send(disk, same, { out: block })).status).toBe(STATUS.good);
    const { data } = await send(disk, read10(3 + 4999, 2));
    expect(Buffer.compare(data.subarray(0, 512), block)).toBe(0);
    expect(data.subarray(512).every((byte) => byte === 0)).toBe(true);
  });
});

describe('persistent reservations (SPC-4 5.14)', () => {
  const out = (action: number, type: number, key: number, serviceKey: number): [number[], Uint8Array] => {
    const list = new Uint8Array(24);
    list[7] = key;
    list[15] = serviceKey;
    return [[0x5f, action, type, 0, 0, 0, 0, 0, 24, 0], list];
  };

  it('write exclusive lets others read and keeps them from writing until it is preempted', async () => {
    const disk = await memoryDisk(MIB);
    disk.takeAttention('J');
    const order = async (initiator: string, [cdb, list]: [number[], Uint8Array]): Promise<number> =>
      (await send(disk, cdb, { out: list, initiator })).status;
    expect(await order('I', out(0, 0, 0, 1))).toBe(STATUS.good);
    expect(await order('J', out(0, 0, 9, 2))).toBe(STATUS.reservationConflict); // a wrong key registers nothing
    expect(await order('J', out(0, 0, 0, 2))).toBe(STATUS.good);
    expect(await order('I', out(1, 1, 1, 0))).toBe(STATUS.good);
    const block = { out: new Uint8Array(512), initiator: 'J' };
    expect((await send(disk, read10(0, 1), { initiator: 'J' })).status).toBe(STATUS.good);
    expect((await send(disk, write10(0, 1), block)).status).toBe(STATUS.reservationConflict);
    expect(await order('J', out(4, 1, 2, 1))).toBe(STATUS.good); // preempt I
    expect((await send(disk, write10(0, 1), block)).status).toBe(STATUS.good);
    expect((await send(disk, [0, 0, 0, 0, 0, 0])).sense).toEqual(SENSE.registrationsPreempted);
  });
});

describe('a CD-ROM', () => {
  it('has 2048-byte blocks, no WRITE, a TOC, and a tray that a lock keeps shut', async () => {
    const disk = await memoryDisk(2 * MIB, { kind: 'cdrom' });
    const capacity = await send(disk, [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...capacity.data]).toEqual([...be32(1023), 0, 0, 8, 0]);
    expect((await send(disk, write10(0, 1), { out: new Uint8Array(2048) })).sense).toEqual(
      SENSE.writeProtected,
    );
    const toc = await send(disk, [0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0]);
    expect([...toc.data.subarray(0, 20)]).toEqual([
      0,
      18,
      1,
      1,
      0,
      0x14,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0x16,
      0xaa,
      0,
      ...be32(1024),
    ]);
    const eject = [0x1b, 0, 0, 0, 2, 0];
    await send(disk, [0x1e, 0, 0, 0, 1, 0]);
    expect((await send(disk, eject)).sense).toEqual(SENSE.illegalRemovalPrevented);
    await send(disk, [0x1e, 0, 0, 0, 0, 0]);
    expect((await send(disk, eject)).status).toBe(STATUS.good);
    expect((await send(disk, [0, 0, 0, 0, 0, 0])).sense).toEqual(SENSE.noMedium);
  });
});

describe('hostile commands', () => {
  it('every CDB of random bytes is answered: no throw, no more data than there is room', async () => {
    const disk = await memoryDisk(MIB);
    const cdrom = await memoryDisk(MIB, { kind: 'cdrom' });
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 16, maxLength: 32 }),
        fc.uint8Array({ maxLength: 600 }),
        fc.nat(600),
        async (bytes, out, room) => {
          fc.pre(cdbLength(bytes[0]) !== 0);
          for (const unit of [disk, cdrom]) {
            const answer = await send(unit, [...bytes], { out, room });
            expect(answer.moved).toBeLessThanOrEqual(Math.max(room, out.length));
            expect(answer.status === STATUS.checkCondition).toBe(answer.sense !== undefined);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('a CDB shorter than its group says is not decoded (CVE-2016-5126)', () => {
    expect(decodeCdb(Uint8Array.of(0x28, 0, 0, 0))).toBeUndefined();
    expect(decodeCdb(new Uint8Array(0))).toBeUndefined();
    expect(decodeCdb(Uint8Array.of(0xc0, ...new Uint8Array(31)))).toBeUndefined();
  });
});
