/**
 * Scripts of random accesses to all registers, over random tables and lists in memory: nothing throws, everything ends, and the disk
 * keeps its size. `PLATTER_IDE_FUZZ` makes more of them.
 */
import { expect, it } from 'vitest';
import { arrayNode } from '../virtio/testing/rig.ts';
import { HEADER, PORTS_AT, TABLE } from './ahci/registers.ts';
import { CMD } from './ata.ts';
import { AhciRig, AT, BUS_MASTER, DISK_BYTES, IdeRig } from './testing/rig.ts';

const RUNS = Number(process.env['PLATTER_IDE_FUZZ'] ?? 6);
const ACCESSES = 3000;
const CODES = Object.values(CMD);
/** Packets of CD-ROMs. */
const PACKETS = [
  0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xad, 0xbb, 0xbd, 0xbe,
];

/** xorshift32. */
function source(seed: number): (most: number) => number {
  let state = seed * 0x9e37_79b9 || 1;
  return (most) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
}

it.each(Array.from({ length: RUNS }, (_, i) => i + 1))('IDE, seed %i', (seed) => {
  const pick = source(seed);
  const node = arrayNode(DISK_BYTES);
  const rig = new IdeRig(node);
  const ports = [0x1f0, 0x1f1, 0x1f2, 0x1f3, 0x1f4, 0x1f5, 0x1f6, 0x1f7, 0x3f6].flatMap((port) => [
    port,
    port - 0x80,
  ]);
  for (let i = 0; i < ACCESSES; i++) {
    const master = pick(4) === 0;
    const port = master ? BUS_MASTER + pick(16) : ports[pick(ports.length)];
    const size = ([1, 1, 1, 2, 4] as const)[pick(5)];
    const command = (port & 7) === 7 && !master;
    if (pick(50) === 0) {
      for (let at = 0; at < 64; at += 4)
        rig.memory.writeUint(AT.table + at, 4, (pick(0x4000) << 8) + pick(999));
      rig.master(pick(2) === 0 ? 0 : 1, 4, AT.table, 4);
    }
    if (pick(3) === 0) rig.io.read(port, size);
    else rig.io.write(port, size, command ? CODES[pick(CODES.length)] : pick(0x1_0000) >>> (pick(3) * 4));
    rig.device.process();
  }
  expect(node.disk).toHaveLength(DISK_BYTES);
  expect(rig.device.busy).toBe(false);
});

it.each(Array.from({ length: RUNS }, (_, i) => i + 1))('ATAPI, seed %i', (seed) => {
  const pick = source(seed + 2000);
  const rig = new IdeRig(arrayNode(DISK_BYTES));
  const before = rig.memory.bytes.slice(0, AT.table);
  for (let i = 0; i < ACCESSES / 20; i++) {
    const dma = pick(3) === 0;
    if (dma) {
      const size = (): number => (pick(8) === 0 ? 0 : pick(0x1000));
      rig.table(
        1,
        ...Array.from({ length: 1 + pick(4) }, () => [AT.data + pick(0x8000), size()] as [number, number]),
      );
    }
    rig.out(1, 6, 0xa0);
    rig.out(1, 1, dma ? 1 : pick(8) === 0 ? pick(256) : 0);
    rig.out(1, 4, pick(3) === 0 ? pick(256) : 0);
    rig.out(1, 5, pick(9));
    rig.out(1, 7, CMD.packet);
    const packet = Array.from({ length: 12 }, () => (pick(3) === 0 ? pick(256) : pick(3)));
    packet[0] = pick(4) === 0 ? pick(256) : PACKETS[pick(PACKETS.length)];
    for (let at = 0; at < 12; at += 2) rig.out(1, 0, packet[at] | (packet[at + 1] << 8), 2);
    if (dma) rig.master(1, 0, 9);
    for (let words = pick(3000); words > 0; words--) {
      if (pick(2) === 0) rig.in(1, 0, 2);
      else if ((rig.status(1) & 8) === 0) break;
    }
    if (dma) rig.master(1, 0, 0);
    if (pick(20) === 0) rig.control(1, 4);
    if (pick(20) === 0) rig.control(1, 0);
  }
  expect(rig.device.busy).toBe(false);
  // Nothing below the table was named by any region.
  expect(Buffer.compare(rig.memory.bytes.subarray(0, AT.table), before)).toBe(0);
  rig.control(1, 4);
  rig.control(1, 0);
  rig.packet([0x12, 0, 0, 0, 36], 2048);
  expect(rig.in(1, 0, 2)).toBe(0x8005);
});

it.each(Array.from({ length: RUNS }, (_, i) => i + 1))('AHCI, seed %i', (seed) => {
  const pick = source(seed + 1000);
  const node = arrayNode(DISK_BYTES);
  const rig = new AhciRig(node);
  rig.start();
  for (let i = 0; i < ACCESSES; i++) {
    if (pick(6) === 0) {
      const slot = pick(32);
      const table = AT.command + slot * 0x400;
      const fis = [
        pick(9) === 0 ? pick(256) : 0x27,
        pick(9) === 0 ? pick(256) : 0x80,
        CODES[pick(CODES.length)],
      ];
      const rest = Array.from({ length: 17 }, () => (pick(2) === 0 ? pick(256) : pick(4)));
      rig.memory.write(table, Uint8Array.of(...fis, ...rest));
      for (let prd = 0; prd < 8; prd++) {
        const at = table + TABLE.prdt + prd * TABLE.prdBytes;
        rig.memory.writeUint(at, 4, pick(20) === 0 ? 0xfee0_0000 : AT.data + pick(0x8000));
        rig.memory.writeUint(at + 12, 4, pick(8192));
      }
      const header = AT.list + slot * HEADER.bytes;
      rig.memory.writeUint(header, 4, ((pick(9) << 16) | pick(0x800)) >>> 0);
      rig.memory.writeUint(header + HEADER.table, 4, pick(30) === 0 ? pick(0x7fff_ffff) : table);
      rig.setPort(0x38, (1 << slot) >>> 0);
    } else if (pick(30) === 0) {
      rig.start();
    } else {
      const offset = pick(8) === 0 ? pick(0x400) * 4 : PORTS_AT + pick(32) * 4;
      const value = pick(3) === 0 ? (pick(0x1_0000) * 0x1_0001) >>> 0 : pick(256);
      if (pick(3) === 0) rig.read(offset & 0xffc);
      else rig.write(offset & 0xffc, value);
    }
  }
  expect(node.disk).toHaveLength(DISK_BYTES);
  expect(rig.device.busy).toBe(false);
});
