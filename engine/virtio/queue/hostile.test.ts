/** Hostile inputs, part "Devices", lines 1–13, on a device behind either layout of the ring: an error, and a reset brings it back. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemory } from '../../machine/memory.ts';
import { F, STATUS } from '../features.ts';
import { arrayNode, header, openRig, RIG, type Rig } from '../testing/rig.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE } from './layout.ts';
import { deviceQueue, type Layout } from './rings.ts';
import { DESC_F_AVAIL, DESC_F_USED } from './packed-layout.ts';
import { attack, descriptor, hostileChains, type HostileRing } from '../testing/hostile-chains.ts';

/** More on demand: `PLATTER_RING_FUZZ=20000 npx vitest run engine/virtio/queue/hostile.test.ts`. */
const FUZZ = Number(process.env.PLATTER_RING_FUZZ ?? 150);
/** The same runs every time; another seed is another walk. */
const SEED = Number(process.env.PLATTER_FUZZ_SEED ?? 1);
const SIZE = 8;
const BUF = RIG.buffers;
const NEXT = DESC_F_NEXT;
const WRITE = DESC_F_WRITE;

/** The device's only queue. */
const ringOf = ({ memory }: Rig, layout: Layout): HostileRing => ({
  memory,
  layout,
  size: SIZE,
  queue: RIG.queue,
});

/** The device is down for this reason, told its driver, touches nothing more, and works after a reset. */
function expectDown(rig: Rig, code: string): void {
  expect(rig.device.error?.code).toBe(code);
  expect(rig.device.status & STATUS.needsReset).not.toBe(0);
  expect(rig.interrupts.config).toBe(1);
  const before = rig.trace.total;
  rig.go();
  expect(rig.trace.total).toBe(before);
  rig.restart();
  expect(rig.request(0, 0, new Uint8Array(0), 512).status).toBe(0);
}

describe.each(['split', 'packed'] as const)('a hostile driver of a %s queue', (layout) => {
  const cases = hostileChains({ size: SIZE, buffers: BUF, hole: RIG.hole, end: RIG.end });
  it.each([...cases])('%s', (_, code, entries, inner) => {
    const rig = openRig({ size: SIZE, layout, indirect: true });
    attack(ringOf(rig, layout), entries);
    if (inner !== undefined) attack(ringOf(rig, layout), inner, BUF);
    rig.go();
    expectDown(rig, code);
  });

  it('line 4: INDIRECT without having negotiated it', () => {
    const rig = openRig({ size: SIZE, layout });
    attack(ringOf(rig, layout), [{ addr: BUF, len: 16, flags: DESC_F_INDIRECT }]);
    rig.go();
    expectDown(rig, 'virtio.indirect-not-negotiated');
  });

  it('line 7: more than 2^32 bytes in one chain', () => {
    const rig = openRig({ size: SIZE, layout });
    const locate = rig.memory.locate.bind(rig.memory);
    attack(ringOf(rig, layout), [
      { addr: BUF, len: 0xffff_ffff, flags: NEXT, next: 1 },
      { addr: BUF, len: 2, flags: 0 },
    ]);
    // A memory that claims to have all of it, so that only the length can be refused.
    Object.assign(rig.memory, { locate: (address: number) => address });
    rig.go();
    Object.assign(rig.memory, { locate });
    expectDown(rig, 'virtio.desc-too-long');
  });

  it('line 8: the same chains again and again: never more in flight than the queue holds', () => {
    const waiting: (() => void)[] = [];
    const node = {
      ...arrayNode(65536),
      read: () => new Promise<void>((resolve) => void waiting.push(resolve)),
    };
    const rig = openRig({ size: SIZE, layout, node });
    rig.offer([header(0, 0), 512, 1]);
    rig.go();
    for (let round = 1; round < SIZE + 2 && !rig.device.isBroken; round++) {
      if (layout === 'split') {
        const avail = RIG.queue + SIZE * 16;
        rig.memory.writeUint(avail + 4 + (round % SIZE) * 2, 2, 0);
        rig.memory.writeUint(avail + 2, 2, round + 1);
      } else {
        // The next three places of the ring, whatever was in flight there.
        for (let i = 0; i < 3; i++) {
          const place = round * 3 + i;
          const flags = [NEXT, NEXT | WRITE, WRITE][i] | (place < SIZE ? DESC_F_AVAIL : DESC_F_USED);
          const at = RIG.queue + (place % SIZE) * 16;
          rig.memory.write(
            at,
            descriptor('split', { addr: BUF + i * 512, len: [16, 512, 1][i], flags: 7, next: flags }),
          );
        }
      }
      rig.go();
    }
    expect(rig.device.error?.code).toBe('virtio.in-flight');
    expect(waiting.length).toBeLessThanOrEqual(SIZE);
  });

  it('line 9: what the driver changes after the device has taken it changes nothing', () => {
    const node = arrayNode(65536);
    node.disk.fill(0x77, 512, 1024);
    const rig = openRig({ size: SIZE, layout, node });
    const places = rig.offer([header(0, 1), 512, 1]);
    rig.device.notify(0);
    // notify, pop, handle: from here on the copy counts.
    for (let i = 0; i < 3; i++) rig.device.step();
    rig.memory.write(RIG.queue, new Uint8Array(3 * 16).fill(0xff));
    rig.memory.write(places[0], header(1, 0xffff));
    rig.device.process();
    const found = new Uint8Array(512);
    rig.memory.read(places[1], found);
    expect(found.every((byte) => byte === 0x77)).toBe(true);
    expect(rig.memory.readUint(places[2], 1)).toBe(0);
  });

  it('line 10: the length is exactly what was written', () => {
    const rig = openRig({ size: SIZE, layout });
    expect(rig.request(0, 0, new Uint8Array(0), 1024).length).toBe(1025);
    expect(rig.request(1, 0, new Uint8Array(512), 0).length).toBe(1);
    expect(rig.request(0, 1 << 20, new Uint8Array(0), 512).length).toBe(0);
    expect(rig.request(8, 0, new Uint8Array(0), 20).length).toBe(1);
  });

  it('line 11: a completion after a reset of the queue or the device is dropped', async () => {
    for (const queueOnly of [true, false]) {
      const waiting: (() => void)[] = [];
      const node = {
        ...arrayNode(65536),
        read: () => new Promise<void>((resolve) => void waiting.push(resolve)),
      };
      const rig = openRig({ size: SIZE, layout, node });
      const places = rig.offer([header(0, 0), 512, 1]);
      rig.go();
      if (queueOnly) rig.device.resetQueue(rig.device.queues[0]);
      else rig.device.writeStatus(0);
      const before = rig.memory.bytes.slice(RIG.queue, RIG.queue + 4096);
      waiting[0]();
      await new Promise((resolve) => setImmediate(resolve));
      expect(Buffer.compare(rig.memory.bytes.subarray(RIG.queue, RIG.queue + 4096), before)).toBe(0);
      expect(rig.memory.readUint(places[2], 1)).toBe(0xee);
    }
  });

  it('line 12: sizes and addresses that no queue can have, and a size changed while it is ready', () => {
    const memory = createMemory(4 * 1024 * 1024);
    const features = { indirect: false, eventIdx: false };
    const at = { size: SIZE, desc: RIG.queue, driver: RIG.queue + 4096, device: RIG.queue + 8192 };
    for (const size of [0, -8, 1.5, 32769, ...(layout === 'split' ? [3, 6] : [])]) {
      expect(() => deviceQueue(layout, memory, { ...at, size }, features)).toThrowError(/2\.[78]/);
    }
    for (const part of ['desc', 'driver', 'device']) {
      for (const address of [RIG.hole - 2, RIG.end - 2, 2 ** 52]) {
        expect(() => deviceQueue(layout, memory, { ...at, [part]: address }, features)).toThrowError(
          expect.objectContaining({ code: 'virtio.queue-address' }),
        );
      }
    }
    const rig = openRig({ size: SIZE, layout });
    rig.device.queues[0].size = 4;
    for (let i = 0; i < 20; i++) expect(rig.request(0, 0, new Uint8Array(0), 512).status).toBe(0);
  });

  it('line 13: a ring that always has more is served in bounded turns, and goes on', () => {
    const rig = openRig({ size: SIZE, layout });
    let answers = 0;
    const again = (): void => {
      while (rig.ring.take()) answers++;
      rig.offer([header(0, 0), 512, 1]);
    };
    rig.device.transport = {
      queueInterrupt: again,
      configInterrupt: () => undefined,
      started: () => undefined,
    };
    rig.offer([header(0, 0), 512, 1]);
    rig.device.notify(0);
    expect(rig.device.process()).toBe(true);
    const first = answers;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(SIZE * 5);
    // No doorbell is needed for the rest.
    expect(rig.device.process()).toBe(true);
    expect(answers).toBeGreaterThan(first);
  });

  it(`any bytes in ring, tables, events and headers end in answers or a reset, in bounded work (${FUZZ} runs)`, () => {
    const bytes = (most: number) =>
      fc.array(fc.tuple(fc.nat(most), fc.nat(255)), { maxLength: 30, size: 'max' });
    fc.assert(
      fc.property(
        bytes(200),
        bytes(700),
        fc.record({ indirect: fc.boolean(), eventIdx: fc.boolean(), inOrder: fc.boolean() }),
        fc.boolean(),
        fc.boolean(),
        (ring, buffers, shape, single, more) => {
          const properties = { secureErase: more, sizeMax: more ? 1024 : 0 };
          const features = more ? [F.BLK_SECURE_ERASE, F.BLK_SIZE_MAX] : [];
          const rig = openRig({ size: SIZE, layout, ...shape, properties, features });
          rig.offer([header(0, 0), 512, 1]);
          rig.offer([header(more ? 14 : 1, 1), new Uint8Array(16), 1]);
          for (const [at, byte] of ring) rig.memory.writeUint(RIG.queue + at, 1, byte);
          for (const [at, byte] of buffers) rig.memory.writeUint(BUF + at, 1, byte);
          const before = rig.trace.total;
          rig.device.notify(0);
          if (single) {
            for (let i = 0; i < 2000 && (rig.device.step() || rig.host.stepHardware()); i++);
          }
          rig.device.process();
          expect(rig.trace.total - before).toBeLessThan(SIZE * 16 * 12);
          rig.restart();
          expect(rig.request(0, 0, new Uint8Array(0), 512).status).toBe(0);
        },
      ),
      { numRuns: FUZZ, seed: SEED },
    );
  });
});
