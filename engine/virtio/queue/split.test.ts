import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemory } from '../../machine/memory.ts';
import { STATUS } from '../features.ts';
import { header, openRig, RIG } from '../testing/rig.ts';
import { QUEUE_RULES } from './errors.ts';
import { DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, needEvent } from './layout.ts';
import { SplitDeviceQueue } from './split-device.ts';
import { SplitDriverQueue } from './split-driver.ts';
import english from '#resources/messages/en/errors-device.json' with { type: 'json' };

const QUEUE = RIG.queue;
const SIZE = 8;

interface Desc {
  addr: number | bigint;
  len: number;
  flags: number;
  next?: number;
}

/** A queue whose ring the test fills by hand, as a hostile driver would. */
function hostile(table: Desc[], options: { avail?: number[]; idx?: number; indirect?: boolean } = {}) {
  const memory = createMemory(4 * 1024 * 1024);
  const features = { indirect: options.indirect ?? false, eventIdx: false };
  const driver = new SplitDriverQueue(memory, QUEUE, SIZE, features);
  const { desc, driver: avail } = driver.addresses;
  const write = (at: number, entries: Desc[]): void =>
    entries.forEach(({ addr, len, flags, next = 0 }, i) => {
      const view = new DataView(new ArrayBuffer(16));
      view.setBigUint64(0, BigInt(addr), true);
      view.setUint32(8, len, true);
      view.setUint16(12, flags, true);
      view.setUint16(14, next, true);
      memory.write(at + i * 16, new Uint8Array(view.buffer));
    });
  write(desc, table);
  const heads = options.avail ?? [0];
  heads.forEach((head, i) => memory.writeUint(avail + 4 + i * 2, 2, head));
  memory.writeUint(avail + 2, 2, options.idx ?? heads.length);
  return { memory, queue: new SplitDeviceQueue(memory, driver.addresses, features), write };
}

const refused = (code: string) => expect.objectContaining({ code });
const BUF = RIG.buffers;
const NEXT = DESC_F_NEXT;
const WRITE = DESC_F_WRITE;
const INDIRECT = DESC_F_INDIRECT;

describe('virtio 1.2, section 2.7: what a driver may not do (hostile inputs, devices, lines 1–8 and 12)', () => {
  const cases: [string, string, Desc[], { avail?: number[]; idx?: number; indirect?: boolean }?][] = [
    ['2.7.5.2: a loop', 'virtio.desc-loop', [{ addr: BUF, len: 1, flags: NEXT, next: 0 }]],
    [
      '2.7.5.2: a loop of two',
      'virtio.desc-loop',
      [
        { addr: BUF, len: 1, flags: NEXT, next: 1 },
        { addr: BUF, len: 1, flags: NEXT, next: 0 },
      ],
    ],
    ['2.7.6: a head past the table', 'virtio.avail-head', [], { avail: [SIZE] }],
    ['2.7.5: next past the table', 'virtio.desc-next', [{ addr: BUF, len: 1, flags: NEXT, next: SIZE }]],
    ['2.7.13: an index too far ahead', 'virtio.avail-index', [], { idx: SIZE + 1 }],
    ['2.7.13: an index that went back', 'virtio.avail-index', [], { idx: 0xffff }],
    [
      '2.7.4.2: readable after writable',
      'virtio.desc-order',
      [
        { addr: BUF, len: 1, flags: NEXT | WRITE, next: 1 },
        { addr: BUF, len: 1, flags: 0 },
      ],
    ],
    ['2.7.5: an empty buffer', 'virtio.desc-empty', [{ addr: BUF, len: 0, flags: 0 }]],
    ['2.7.5: a buffer past memory', 'virtio.desc-address', [{ addr: RIG.end - 1, len: 2, flags: 0 }]],
    ['2.7.5: a buffer into the hole', 'virtio.desc-address', [{ addr: RIG.hole - 1, len: 2, flags: 0 }]],
    ['2.7.5: a buffer in the hole', 'virtio.desc-address', [{ addr: RIG.hole, len: 2, flags: 0 }]],
    [
      '2.7.5: an address that wraps',
      'virtio.desc-address',
      [{ addr: 0xffff_ffff_ffff_ffffn, len: 16, flags: 0 }],
    ],
    ['2.7.5: an address of MMIO', 'virtio.desc-address', [{ addr: 0xfee0_0000, len: 4, flags: WRITE }]],
    [
      '2.7.5.3.1: INDIRECT not negotiated',
      'virtio.indirect-not-negotiated',
      [{ addr: BUF, len: 16, flags: INDIRECT }],
    ],
    [
      '2.7.5.3.1: INDIRECT with NEXT',
      'virtio.indirect-next',
      [{ addr: BUF, len: 16, flags: INDIRECT | NEXT }],
      { indirect: true },
    ],
    [
      '2.7.5.3.2: a table of no entries',
      'virtio.indirect-length',
      [{ addr: BUF, len: 0, flags: INDIRECT }],
      { indirect: true },
    ],
    [
      '2.7.5.3.2: a table of half an entry',
      'virtio.indirect-length',
      [{ addr: BUF, len: 24, flags: INDIRECT }],
      { indirect: true },
    ],
    [
      '2.7.5: a table outside memory',
      'virtio.desc-address',
      [{ addr: RIG.end, len: 16, flags: INDIRECT }],
      { indirect: true },
    ],
  ];
  it.each(cases)('%s: %s', (_, code, table, options) => {
    const { queue } = hostile(table, options);
    expect(() => queue.pop()).toThrowError(refused(code));
    expect(queue.inFlight).toBe(0);
  });

  it('2.7.5.3.1: an indirect table in an indirect table', () => {
    const { queue, write } = hostile([{ addr: BUF, len: 16, flags: INDIRECT }], { indirect: true });
    write(BUF, [{ addr: BUF + 64, len: 16, flags: INDIRECT }]);
    expect(() => queue.pop()).toThrowError(refused('virtio.indirect-nested'));
  });

  it('2.7.5.3.1: a loop in an indirect table, and more entries than the queue has', () => {
    const { queue, write } = hostile([{ addr: BUF, len: 16 * 32, flags: INDIRECT }], { indirect: true });
    write(
      BUF,
      Array.from({ length: 32 }, (_, i) => ({ addr: BUF, len: 1, flags: i < 31 ? NEXT : 0, next: i + 1 })),
    );
    expect(() => queue.pop()).toThrowError(refused('virtio.desc-loop'));
  });

  it('2.7.5.3: next past the end of an indirect table', () => {
    const { queue, write } = hostile([{ addr: BUF, len: 32, flags: INDIRECT }], { indirect: true });
    write(BUF, [{ addr: BUF, len: 1, flags: NEXT, next: 2 }]);
    expect(() => queue.pop()).toThrowError(refused('virtio.desc-next'));
  });

  it('2.7.5.2: more than 2^32 bytes in one chain', () => {
    const regions = [{ base: 0, size: 2 ** 33, offset: 0 }];
    const bytes = createMemory(4 * 1024 * 1024).bytes;
    const { memory, queue: real } = hostile([
      { addr: BUF, len: 0xffff_ffff, flags: NEXT, next: 1 },
      { addr: BUF, len: 2, flags: 0 },
    ]);
    expect(() => real.pop()).toThrowError(refused('virtio.desc-address'));
    bytes.set(memory.bytes);
    // A memory whose table of regions claims more than its buffer, so that only the length can be refused.
    Object.assign(memory, { locate: (address: number) => regions[0].offset + address });
    expect(() => real.pop()).toThrowError(refused('virtio.desc-too-long'));
  });

  it('2.7.13: the same chains offered again and again: never more in flight than entries', () => {
    const { queue, memory } = hostile([{ addr: BUF, len: 1, flags: 0 }], {
      avail: Array.from({ length: SIZE }, () => 0),
    });
    for (let i = 0; i < SIZE; i++) expect(queue.pop()).not.toBeNull();
    memory.writeUint(QUEUE + SIZE * 16 + 2, 2, SIZE * 2);
    expect(() => queue.pop()).toThrowError(refused('virtio.in-flight'));
  });

  it.each([0, 3, 6, 65536, -8, 1.5])('2.7: a queue of %d entries', (size) => {
    const memory = createMemory(4 * 1024 * 1024);
    const at = { size, desc: QUEUE, driver: QUEUE + 4096, device: QUEUE + 8192 };
    expect(() => new SplitDeviceQueue(memory, at, { indirect: false, eventIdx: false })).toThrowError(
      refused('virtio.queue-size'),
    );
  });

  it.each(['desc', 'driver', 'device'])('2.7: %s outside memory or in the hole', (part) => {
    const memory = createMemory(4 * 1024 * 1024);
    for (const address of [RIG.hole - 16, RIG.end - 16, 2 ** 52]) {
      const at = { size: SIZE, desc: QUEUE, driver: QUEUE + 4096, device: QUEUE + 8192, [part]: address };
      expect(() => new SplitDeviceQueue(memory, at, { indirect: false, eventIdx: false })).toThrowError(
        refused('virtio.queue-address'),
      );
    }
  });

  it('has a text for every rule', () => {
    for (const rule of QUEUE_RULES) expect(english).toHaveProperty([rule]);
  });
});

describe('a device under a hostile ring', () => {
  it('section 2.1.2: asks to be reset, does nothing more, and works again after the reset', () => {
    const rig = openRig({ size: SIZE });
    rig.offer([header(0, 0), 512, 1]);
    rig.memory.writeUint(RIG.queue + 14, 2, SIZE + 3);
    rig.go();
    expect(rig.device.error?.code).toBe('virtio.desc-next');
    expect(rig.device.status & STATUS.needsReset).not.toBe(0);
    const before = rig.trace.total;
    rig.go();
    expect(rig.trace.total).toBe(before);
    rig.restart();
    expect(rig.request(0, 0, new Uint8Array(0), 512).status).toBe(0);
  });

  it('line 13: any bytes in ring, tables and headers end in an answer or a reset, in bounded work', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(511), fc.nat(255)), { maxLength: 60 }),
        fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { maxLength: 40 }),
        fc.boolean(),
        fc.boolean(),
        (ringBytes, bufferBytes, indirect, eventIdx) => {
          const rig = openRig({ size: 16, indirect, eventIdx });
          for (let i = 0; i < 3; i++)
            rig.offer([header(i & 1, i), ...(i === 1 ? [new Uint8Array(512), 1] : [512, 1])]);
          for (const [at, byte] of ringBytes) rig.memory.writeUint(RIG.queue + at, 1, byte);
          for (const [at, byte] of bufferBytes) rig.memory.writeUint(RIG.buffers + at, 1, byte);
          const before = rig.trace.total;
          rig.go();
          expect(rig.trace.total - before).toBeLessThan(16 * 40);
          rig.restart();
          expect(rig.request(0, 0, new Uint8Array(0), 512).status).toBe(0);
        },
      ),
      { numRuns: 300, seed: 2 },
    );
  });
});

describe('both halves together', () => {
  it('2.7.13 and 2.7.14: every chain comes back once, in any order, over many rounds of the indices', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 200, maxLength: 400 }),
        fc.infiniteStream(fc.nat()),
        (indirect, eventIdx, lengths, picks) => {
          const memory = createMemory(4 * 1024 * 1024);
          const features = { indirect, eventIdx };
          const driver = new SplitDriverQueue(memory, QUEUE, SIZE, { ...features, indirectEntries: 4 });
          const device = new SplitDeviceQueue(memory, driver.addresses, features);
          const flying = [];
          const heads = new Set<number>();
          for (const count of lengths) {
            if (driver.begin(count)) {
              for (let i = 0; i < count; i++) driver.add(BUF + i * 64, 64, i === count - 1);
              heads.add(driver.commit());
              const element = device.pop();
              expect(element?.inCount).toBe(1);
              expect(element?.outCount).toBe(count - 1);
              if (element !== null) flying.push(element);
              continue;
            }
            const [element] = flying.splice((picks.next().value ?? 0) % flying.length, 1);
            device.fill(element, 64);
            device.flush();
            expect(driver.take()).toBe(true);
            expect(driver.usedHead).toBe(element.head);
            expect(heads.delete(element.head)).toBe(true);
          }
          expect(device.pop()).toBeNull();
          expect(device.inFlight).toBe(heads.size);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('a chain cannot be completed twice', () => {
    const memory = createMemory(4 * 1024 * 1024);
    const features = { indirect: false, eventIdx: false };
    const driver = new SplitDriverQueue(memory, QUEUE, SIZE, features);
    const device = new SplitDeviceQueue(memory, driver.addresses, features);
    driver.begin(1);
    driver.add(BUF, 1, true);
    driver.commit();
    const element = device.pop();
    if (element === null) throw new Error('nothing popped');
    device.fill(element, 1);
    expect(() => device.fill(element, 1)).toThrowError(refused('virtio.completed-twice'));
  });

  it('2.7.7.1 and 2.7.10: with EVENT_IDX neither side misses the other, and both are told less often', () => {
    const rig = openRig({ size: SIZE, eventIdx: true });
    rig.ring.setInterrupts(true);
    let kicks = 0;
    for (let i = 0; i < 100_000; i++) {
      rig.offer([header(4, 0), 1]);
      if (rig.ring.kick()) {
        kicks++;
        rig.go();
      }
      expect(rig.ring.take()).toBe(true);
      if (i % 4 === 3) rig.ring.setInterrupts(true);
    }
    // One at first, and one each time that they were asked for; the index wrapped around on the way.
    expect(kicks).toBe(100_000);
    expect(rig.interrupts.queue).toBe(25_000);
  });

  it('2.7.10.1: need_event is true exactly when the event index was passed', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.nat(1000), (event, before, steps) => {
        const now = (before + steps) & 0xffff;
        const passed = Array.from({ length: steps }, (_, i) => (before + i) & 0xffff).includes(event);
        expect(needEvent(event, now, before)).toBe(passed);
      }),
    );
  });
});
