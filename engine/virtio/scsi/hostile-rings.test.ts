/**
 * Hostile inputs, part "Devices", lines 1–13, on every queue of the SCSI host behind either layout of the ring, and a fuzzer for all bytes
 * of rings, tables, headers and answers.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STATUS as SCSI_STATUS } from '../../scsi/command.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import { STATUS } from '../features.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT } from '../queue/layout.ts';
import { DESC_F_AVAIL, DESC_F_USED } from '../queue/packed-layout.ts';
import { attack, hostileChains, type HostileRing } from '../testing/hostile-chains.ts';
import { arrayNode } from '../testing/rig.ts';
import { CMD_RESP, QUEUE, RESPONSE, TMF } from './protocol.ts';
import { BUFFERS, END, RING_BYTES, RINGS, ScsiRig, SIZE, type ScsiRigOptions } from './testing.ts';

/** More on demand: `PLATTER_RING_FUZZ=20000 npx vitest run engine/virtio/scsi/hostile-rings.test.ts`. */
const FUZZ = Number(process.env.PLATTER_RING_FUZZ ?? 100);
const SEED = Number(process.env.PLATTER_FUZZ_SEED ?? 1);
const HOLE = 0xa_0000;
const READ = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const QUEUES = Object.entries(QUEUE);

/** What only an available ring can get wrong: its offset in the ring, the value, the error. */
const INDICES: [name: string, at: number, value: number, code: string][] = [
  ['line 2: a head past the table', 4, SIZE, 'virtio.avail-head'],
  ['line 3: an index that ran away', 2, SIZE + 1, 'virtio.avail-index'],
];

/** Makes the device look at the queue: an event is what it needs a buffer for. */
function look(rig: ScsiRig, queue: number): void {
  if (queue === QUEUE.event) rig.device.attach(3, 0, new ScsiDisk({ node: arrayNode(65536), kind: 'disk' }));
  rig.go(queue);
}

/** The device is down for this reason, told its driver, touches nothing more, and works after a reset. */
function expectDown(rig: ScsiRig, code: string): void {
  expect(rig.device.error?.code).toBe(code);
  expect(rig.device.status & STATUS.needsReset).not.toBe(0);
  expect(rig.interrupts.config).toBe(1);
  const before = rig.trace.total;
  for (const queue of Object.values(QUEUE)) rig.go(queue);
  expect(rig.trace.total).toBe(before);
  rig.start();
  expectReads(rig);
}

/** After a unit attention of its reset, or of another disk that came, the disk reads. */
function expectReads(rig: ScsiRig): void {
  for (let i = 0; i < 2; i++) rig.command([0, 0, 0, 0, 0, 0]);
  expect(rig.command(READ, { into: 512 }).status).toBe(SCSI_STATUS.good);
}

/** A node whose reads wait. */
function held(): { node: ReturnType<typeof arrayNode>; waiting: (() => void)[] } {
  const waiting: (() => void)[] = [];
  const node = arrayNode(1024 * 1024);
  const read = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve));
  return { node: { ...node, read }, waiting };
}
const later = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe.each(['split', 'packed'] as const)('a hostile driver of %s rings', (layout) => {
  const open = (options: ScsiRigOptions = {}): ScsiRig => new ScsiRig({ layout, ...options });
  const ringOf = ({ memory }: ScsiRig, queue: number): HostileRing => ({
    memory,
    layout,
    size: SIZE,
    queue: RINGS + queue * RING_BYTES,
  });
  const chains = hostileChains({ size: SIZE, buffers: BUFFERS, hole: HOLE, end: END });

  describe.each(QUEUES)('the %s queue', (_, queue) => {
    it.each([...chains])('%s', (__, code, chain, table) => {
      const rig = open({ indirect: true });
      attack(ringOf(rig, queue), chain);
      if (table !== undefined) attack(ringOf(rig, queue), table, BUFFERS);
      look(rig, queue);
      expectDown(rig, code);
    });

    it('line 4: INDIRECT without having negotiated it', () => {
      const rig = open();
      attack(ringOf(rig, queue), [{ addr: BUFFERS, len: 16, flags: DESC_F_INDIRECT }]);
      look(rig, queue);
      expectDown(rig, 'virtio.indirect-not-negotiated');
    });

    it('line 7: more than 2^32 bytes in one chain', () => {
      const rig = open();
      const locate = rig.memory.locate.bind(rig.memory);
      attack(ringOf(rig, queue), [
        { addr: BUFFERS, len: 0xffff_ffff, flags: DESC_F_NEXT, next: 1 },
        { addr: BUFFERS, len: 2, flags: 0 },
      ]);
      // A memory that claims to have all of it, so that only the length can be refused.
      Object.assign(rig.memory, { locate: (address: number) => address });
      look(rig, queue);
      Object.assign(rig.memory, { locate });
      expectDown(rig, 'virtio.desc-too-long');
    });

    it.each(layout === 'split' ? INDICES : [])('%s', (__, at, value, code) => {
      const rig = open();
      const avail = RINGS + queue * RING_BYTES + SIZE * 16;
      rig.memory.writeUint(avail + 2, 2, 1);
      rig.memory.writeUint(avail + at, 2, value);
      look(rig, queue);
      expectDown(rig, code);
    });

    it('line 12: a size changed while the queue is in use changes nothing', () => {
      const rig = open();
      rig.device.queues[queue].size = 4;
      for (let i = 0; i < 3 * SIZE; i++) {
        expect(rig.command(READ, { into: 512 }).status).toBe(SCSI_STATUS.good);
        rig.offerTmf(TMF.queryTask, 1);
        rig.go(QUEUE.control);
        expect(rig.rings[QUEUE.control].take()).toBe(true);
      }
    });
  });

  it('line 8: the same command again and again: never more in flight than the queue holds', () => {
    const { node, waiting } = held();
    const rig = open({ node });
    const ring = ringOf(rig, QUEUE.request).queue;
    rig.offerCommand(READ, { into: 512 });
    rig.go();
    const first = rig.memory.bytes.slice(ring, ring + 3 * 16);
    for (let round = 1; round < SIZE + 2 && !rig.device.isBroken; round++) {
      if (layout === 'split') {
        const avail = ring + SIZE * 16;
        rig.memory.writeUint(avail + 4 + (round % SIZE) * 2, 2, 0);
        rig.memory.writeUint(avail + 2, 2, round + 1);
      } else {
        // The next three places of the ring, whatever is in flight there.
        for (let i = 0; i < 3; i++) {
          const place = round * 3 + i;
          const at = ring + (place % SIZE) * 16;
          rig.memory.write(at, first.subarray(i * 16, i * 16 + 16));
          const flags = rig.memory.readUint(at + 14, 2) & ~(DESC_F_AVAIL | DESC_F_USED);
          const odd = Math.floor(place / SIZE) % 2 === 1;
          rig.memory.writeUint(at + 14, 2, flags | (odd ? DESC_F_USED : DESC_F_AVAIL));
        }
      }
      rig.go();
    }
    expect(rig.device.error?.code).toBe('virtio.in-flight');
    expect(waiting.length).toBeLessThanOrEqual(SIZE);
  });

  it('line 9: a CDB and descriptors that change after they were taken change nothing', () => {
    const node = arrayNode(1024 * 1024);
    node.disk.fill(0x77, 0, 512);
    const rig = open({ node });
    const places = rig.offer(QUEUE.request, [ScsiRig.header(READ), CMD_RESP.sense + 96, 512]);
    rig.device.notify(QUEUE.request);
    for (let i = 0; i < 4; i++) rig.device.step();
    rig.memory.write(RINGS + QUEUE.request * RING_BYTES, new Uint8Array(3 * 16).fill(0xff));
    rig.memory.write(places[0], ScsiRig.header([0xff], 9, 9));
    rig.device.process();
    const found = new Uint8Array(512);
    rig.memory.read(places[2], found);
    expect(found.every((byte) => byte === 0x77)).toBe(true);
    expect(rig.memory.readUint(places[1] + CMD_RESP.response, 1)).toBe(RESPONSE.ok);
  });

  it('line 10: the length is exactly what was written: answers, task management, events', () => {
    const rig = open();
    const answer = CMD_RESP.sense + 96;
    expect(rig.command(READ, { into: 2048 }).length).toBe(answer + 512);
    expect(rig.command([0xff], { into: 512 }).length).toBe(answer);
    rig.offerTmf(TMF.queryTask, 1);
    rig.go(QUEUE.control);
    expect(rig.rings[QUEUE.control].take()).toBe(true);
    expect(rig.rings[QUEUE.control].usedLength).toBe(1);
    const [event] = rig.offer(QUEUE.event, [64]);
    look(rig, QUEUE.event);
    expect(rig.rings[QUEUE.event].take()).toBe(true);
    expect(rig.rings[QUEUE.event].usedLength).toBe(16);
    expect(rig.memory.readUint(event + 16, 4)).toBe(0xeeee_eeee);
  });

  it('an event that has no room lays the device down (5.6.6.3)', () => {
    const rig = open();
    rig.offer(QUEUE.event, [15]);
    look(rig, QUEUE.event);
    expectDown(rig, 'virtio.scsi-header');
  });

  it('line 11: a completion after a reset of the queue or the device is dropped', async () => {
    for (const queueOnly of [true, false]) {
      const { node, waiting } = held();
      const rig = open({ node });
      rig.offerCommand(READ, { into: 512 });
      rig.go();
      if (queueOnly) rig.device.resetQueue(rig.device.queues[QUEUE.request]);
      else rig.device.writeStatus(0);
      const before = rig.memory.bytes.slice();
      waiting[0]();
      await later();
      rig.device.process();
      expect(Buffer.compare(rig.memory.bytes, before)).toBe(0);
    }
  });

  it.each([
    ['request', QUEUE.request, QUEUE.control],
    ['control', QUEUE.control, QUEUE.request],
  ] as const)('line 13: a %s queue that always has more keeps nobody else waiting', (_, greedy, other) => {
    const rig = open();
    const offer = (queue: number): void => {
      if (queue === QUEUE.control) rig.offerTmf(TMF.queryTask, 1);
      else rig.offerCommand(READ, { into: 512 });
    };
    let answers = 0;
    let before = -1;
    rig.device.transport = {
      queueInterrupt: () => {
        while (rig.rings[greedy].take()) answers++;
        if (rig.rings[other].take()) before = answers;
        offer(greedy);
        rig.device.notify(greedy);
      },
      configInterrupt: () => undefined,
      started: () => undefined,
    };
    offer(greedy);
    offer(other);
    rig.device.notify(greedy);
    rig.device.notify(other);
    for (let i = 0; i < 4000; i++) {
      rig.device.step();
      rig.host.stepHardware();
    }
    expect(before).toBeGreaterThanOrEqual(0);
    expect(before).toBeLessThanOrEqual(2 * SIZE);
    expect(answers).toBeGreaterThan(4 * SIZE);
  });

  it(`any bytes in rings, tables, headers and answers end in answers or a reset, in bounded work (${FUZZ} runs)`, () => {
    const bytes = (most: number) =>
      fc.array(fc.tuple(fc.nat(most), fc.nat(255)), { maxLength: 30, size: 'max' });
    fc.assert(
      fc.property(
        fc.constantFrom(QUEUE.control, QUEUE.event, QUEUE.request),
        bytes(400),
        bytes(900),
        fc.record({ indirect: fc.boolean(), eventIdx: fc.boolean() }),
        (queue, ring, buffers, shape) => {
          const rig = open(shape);
          rig.offerCommand(READ, { into: 512 });
          rig.offerCommand([0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0], { out: new Uint8Array(512) });
          rig.offerTmf(TMF.abortTask, 1);
          rig.offer(QUEUE.event, [16]);
          for (const [at, byte] of ring) rig.memory.writeUint(RINGS + queue * RING_BYTES + at, 1, byte);
          for (const [at, byte] of buffers) rig.memory.writeUint(BUFFERS + at, 1, byte);
          const before = rig.trace.total;
          for (const each of [QUEUE.request, QUEUE.control, QUEUE.event]) look(rig, each);
          expect(rig.trace.total - before).toBeLessThan(3 * SIZE * 30);
          rig.device.detach(3, 0);
          rig.start();
          expectReads(rig);
        },
      ),
      { numRuns: FUZZ, seed: SEED },
    );
  });
});
