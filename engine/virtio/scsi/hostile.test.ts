/**
 * A hostile driver of the SCSI host: what is known to have broken device models, and a fuzzer for headers, CDBs, addresses and chains.
 * More on demand: `PLATTER_SCSI_FUZZ=20000 npx vitest run engine/virtio/scsi/hostile.test.ts`.
 */
import { describe, expect, it } from 'vitest';
import { Random } from '../../guest/workload.ts';
import { STATUS as SCSI_STATUS } from '../../scsi/command.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import { parseSense, SENSE } from '../../scsi/sense.ts';
import { STATUS } from '../features.ts';
import { arrayNode } from '../testing/rig.ts';
import { CMD_REQ, CMD_RESP, encodeAddress, QUEUE, RESPONSE } from './protocol.ts';
import { ScsiRig } from './testing.ts';

const FUZZ = Number(process.env.PLATTER_SCSI_FUZZ ?? 400);
const ANSWER_BYTES = CMD_RESP.sense + 96;
const be32 = (value: number): number[] => [
  (value >>> 24) & 255,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

describe('hostile-inputs, devices 18: SCSI', () => {
  it('a block length below 512 is not taken over (CVE-2023-42467)', () => {
    const rig = new ScsiRig();
    for (const length of [0, 1, 255, 256, 511]) {
      const list = Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, length >> 8, length & 255);
      rig.command([0x15, 0x10, 0, 0, list.length, 0], { out: list });
      expect(rig.disk.blockSize).toBe(512);
      expect(rig.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], { into: 512 }).status).toBe(SCSI_STATUS.good);
    }
  });

  it('GET LBA STATUS answers no more than it was given room for (CVE-2020-1711)', () => {
    const rig = new ScsiRig();
    for (const length of [0, 1, 7, 8, 9, 24, 4096]) {
      const cdb = [0x9e, 0x12, ...be32(0), ...be32(0), ...be32(length), 0, 0];
      const answer = rig.command(cdb, length === 0 ? {} : { into: length });
      expect(answer.length).toBeLessThanOrEqual(ANSWER_BYTES + length);
    }
    const past = rig.command([0x9e, 0x12, ...be32(0x8000_0000), ...be32(0), ...be32(24), 0, 0], { into: 24 });
    expect(parseSense(past.sense)).toEqual(SENSE.lbaOutOfRange);
  });

  it('a CDB that is longer than what was sent is no command (CVE-2016-5126)', () => {
    const rig = new ScsiRig();
    for (const cdbSize of [0, 1, 5, 6, 9, 11, 15]) {
      rig.device.writeConfig(24, 4, cdbSize);
      const header = ScsiRig.header([0x88]).slice(0, CMD_REQ.cdb + cdbSize);
      const [, answer] = rig.offer(QUEUE.request, [header, ANSWER_BYTES, 512]);
      rig.go();
      expect(rig.rings[QUEUE.request].take()).toBe(true);
      const sense = new Uint8Array(18);
      rig.memory.read(answer + CMD_RESP.sense, sense);
      expect(parseSense(sense)).toEqual(SENSE.invalidOpcode);
    }
  });

  it('WRITE SAME over ranges that end anywhere writes those and nothing else', () => {
    const node = arrayNode(1024 * 1024);
    const rig = new ScsiRig({ node });
    const block = new Uint8Array(512).fill(0x5a);
    for (const [lba, blocks] of [
      [1, 1],
      [3, 1025],
      [2000, 48],
    ]) {
      node.disk.fill(0);
      expect(
        rig.command([0x41, 0, ...be32(lba), 0, blocks >> 8, blocks & 255, 0], { out: block }).status,
      ).toBe(0);
      const written = node.disk.findLastIndex((byte) => byte === 0x5a) + 1;
      expect(node.disk.indexOf(0x5a)).toBe(lba * 512);
      expect(written).toBe((lba + blocks) * 512);
    }
    const huge = rig.command([0x93, 0, ...be32(0), ...be32(1), ...be32(0xffff_ffff), 0, 0], { out: block });
    expect(parseSense(huge.sense)).toEqual(SENSE.lbaOutOfRange);
  });

  it('UNMAP lists: as many descriptors as page B0h promises, and none past the end', () => {
    const rig = new ScsiRig();
    const list = (count: number, lba: number): Uint8Array => {
      const bytes = new Uint8Array(8 + 16 * count);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, bytes.length - 2);
      view.setUint16(2, 16 * count);
      for (let i = 0; i < count; i++) {
        view.setUint32(8 + 16 * i + 4, lba);
        view.setUint32(8 + 16 * i + 8, 1);
      }
      return bytes;
    };
    const unmap = (bytes: Uint8Array): ReturnType<ScsiRig['command']> =>
      rig.command([0x42, 0, 0, 0, 0, 0, 0, bytes.length >> 8, bytes.length & 255, 0], { out: bytes });
    expect(unmap(list(255, 5)).status).toBe(SCSI_STATUS.good);
    expect(parseSense(unmap(list(256, 5)).sense)).toEqual(SENSE.invalidParam);
    expect(parseSense(unmap(list(4000, 5)).sense)).toEqual(SENSE.invalidParam);
    expect(parseSense(unmap(list(3, 2048)).sense)).toEqual(SENSE.lbaOutOfRange);
    // The list claims more descriptors than it has.
    const lying = list(1, 5);
    new DataView(lying.buffer).setUint16(2, 0xfff0);
    expect(parseSense(unmap(lying).sense)).toEqual(SENSE.invalidParamLength);
  });

  it('transfers that no memory could hold are refused before anything is allocated', () => {
    const rig = new ScsiRig();
    for (const code of [0xa8, 0xaa]) {
      const answer = rig.command([code, 0, ...be32(0), ...be32(0xffff_ffff), 0, 0]);
      expect(answer.response).toBe(RESPONSE.overrun);
    }
    const inquiry = rig.command([0xa3, 0x0c, 0, 0, 0, 0, ...be32(0x7000_0000), 0, 0], { into: 64 });
    expect(inquiry.response).toBe(RESPONSE.overrun);
  });
});

describe('hostile-inputs, devices 1–10, on the SCSI host', () => {
  const broken: readonly [string, number, readonly (Uint8Array | number)[]][] = [
    ['no answer', QUEUE.request, [new Uint8Array(51)]],
    ['a short header', QUEUE.request, [new Uint8Array(50), ANSWER_BYTES]],
    ['only an answer', QUEUE.request, [ANSWER_BYTES]],
    ['a short answer', QUEUE.request, [new Uint8Array(51), ANSWER_BYTES - 1]],
    ['a short control request', QUEUE.control, [new Uint8Array(3), 1]],
    ['no room for a task management answer', QUEUE.control, [new Uint8Array(24)]],
  ];
  it.each(broken)('%s lays the device down, and a reset gets it up again', (_, queue, pieces) => {
    for (const layout of ['split', 'packed'] as const) {
      const rig = new ScsiRig({ layout });
      rig.offer(queue, pieces);
      rig.go(queue);
      expect(rig.device.status & STATUS.needsReset).toBe(STATUS.needsReset);
      expect(rig.device.error?.code).toBe('virtio.scsi-header');
      expect(rig.interrupts.config).toBe(1);
      rig.start();
      expect(rig.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], { into: 512 }).status).toBe(SCSI_STATUS.good);
    }
  });

  it.each([
    [20, 65536],
    [20, 0xffff_ffff],
    [24, 256],
    [24, 0xffff_ffff],
  ])('a size of %i = %i in the configuration space lays it down', (offset, value) => {
    const rig = new ScsiRig();
    rig.device.writeConfig(offset, 4, value);
    expect(rig.device.error?.code).toBe('virtio.scsi-config');
    expect([rig.device.senseSize, rig.device.cdbSize]).toEqual([96, 32]);
  });

  it.each(['split', 'packed'] as const)(
    'random chains over %s rings: answered or laid down, nothing else touched',
    (layout) => {
      const random = new Random(layout === 'split' ? 11 : 12);
      const pick = (most: number): number => Math.floor(random.next() * most);
      const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => pick(256));
      const node = arrayNode(256 * 1024);
      const rig = new ScsiRig({ layout, node, indirect: true, eventIdx: true });
      rig.device.attach(1, 0, new ScsiDisk({ node: arrayNode(64 * 1024), kind: 'cdrom' }));
      const header = (): Uint8Array => {
        const made = ScsiRig.header([...bytes(pick(33))], pick(3), pick(4), pick(1000));
        if (pick(8) === 0) made.set(bytes(8));
        if (pick(4) === 0) made.set(encodeAddress(pick(256), pick(16384)));
        return pick(12) === 0 ? made.slice(0, pick(60)) : made;
      };
      let laidDown = 0;
      for (let run = 0; run < FUZZ; run++) {
        const queue = pick(8) === 0 ? pick(3) : QUEUE.request;
        const pieces: (Uint8Array | number)[] = [queue === QUEUE.control ? bytes(1 + pick(40)) : header()];
        if (pieces[0] instanceof Uint8Array && pieces[0].length === 0) pieces.shift();
        for (let i = pick(3); i > 0; i--) pieces.push(bytes(1 + pick(600)));
        if (pick(20) !== 0) pieces.push(pick(6) === 0 ? 1 + pick(200) : ANSWER_BYTES);
        for (let i = pick(3); i > 0; i--) pieces.push(1 + pick(2000));
        if (pieces.length === 0) continue;
        const before = rig.memory.bytes.slice(0, 0x1_0000);
        const places = rig.offer(queue, pieces);
        rig.go(queue);
        const inBytes = pieces.reduce<number>(
          (sum, piece) => sum + (typeof piece === 'number' ? piece : 0),
          0,
        );
        if (rig.device.isBroken) {
          expect(rig.device.error?.code).toMatch(/^virtio\./);
          laidDown++;
          rig.start();
        } else if (queue !== QUEUE.event) {
          expect(rig.rings[queue].take()).toBe(true);
          expect(rig.rings[queue].usedLength).toBeLessThanOrEqual(inBytes);
        } else {
          rig.start();
        }
        // Readable buffers are as they were.
        pieces.forEach((piece, i) => {
          if (typeof piece === 'number') return;
          const now = new Uint8Array(piece.length);
          rig.memory.read(places[i], now);
          expect(Buffer.compare(now, piece)).toBe(0);
        });
        expect(Buffer.compare(rig.memory.bytes.subarray(0, 0x1_0000), before)).toBe(0);
      }
      expect(laidDown).toBeGreaterThan(0);
      expect(laidDown).toBeLessThan(FUZZ / 2);
    },
  );
});
