import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemory } from '../../machine/memory.ts';
import type { QueueElement } from './element.ts';
import { deviceQueue, driverQueue, queueBytes, type Layout } from './rings.ts';
import { PlainChain } from './plain.ts';
import type { DeviceQueue } from './queue.ts';

const RUNS = Number(process.env.PLATTER_RING_RUNS ?? 60);
const QUEUE = 0x10_0000;
const BUFFERS = 0x11_0000;
const MEMORY = 0x18_0000;

interface Shape {
  layout: Layout;
  size: number;
  indirect: boolean;
  eventIdx: boolean;
  inOrder: boolean;
}

/** Any legal queue: powers of two when it is split (section 2.7), anything when it is packed (section 2.8). */
const shapes: fc.Arbitrary<Shape> = fc
  .record({
    layout: fc.constantFrom<Layout>('split', 'packed'),
    indirect: fc.boolean(),
    eventIdx: fc.boolean(),
    inOrder: fc.boolean(),
    power: fc.integer({ min: 0, max: 5 }),
    any: fc.integer({ min: 1, max: 37 }),
  })
  .map(({ power, any, ...rest }) => ({ ...rest, size: rest.layout === 'split' ? 2 ** power : any }));

function bothHalves(shape: Shape) {
  const memory = createMemory(MEMORY);
  const driver = driverQueue(shape.layout, memory, QUEUE, shape.size, { ...shape, indirectEntries: 4 });
  const device = deviceQueue(shape.layout, memory, driver.addresses, shape);
  return { memory, driver, device };
}

/** One chain as the driver meant it: readable buffers first. */
interface Offer {
  address: number;
  lengths: number[];
  readable: number;
}

/** What a chain that was taken holds, in the same words. */
const seen = (element: QueueElement): Offer => ({
  address: element.offsets[0],
  lengths: [...element.lengths.subarray(0, element.inCount + element.outCount)],
  readable: element.outCount,
});

describe('virtio 1.2, sections 2.7 and 2.8: both halves against a model', () => {
  /** `pick` chooses among what is in flight. */
  const step = fc.record({
    kind: fc.constantFrom('offer', 'offer', 'pop', 'pop', 'complete', 'take'),
    count: fc.integer({ min: 1, max: 5 }),
    pick: fc.nat(1000),
    length: fc.integer({ min: 1, max: 9 }),
  });

  it('2.7.13, 2.7.14, 2.8.21: every chain arrives whole, once, and comes back once with its length', () => {
    fc.assert(
      fc.property(shapes, fc.array(step, { minLength: 80, maxLength: 200 }), (shape, steps) => {
        const { driver, device } = bothHalves(shape);
        const offered: { head: number; offer: Offer }[] = [];
        const flying: { element: QueueElement; done: boolean }[] = [];
        const finished: { head: number; written: number; full: number }[] = [];
        /** Finished, but IN_ORDER keeps them back. */
        const early = new Map<QueueElement, number>();
        let total = 0;
        for (const { kind, count, pick, length } of steps) {
          if (kind === 'offer') {
            const table = shape.indirect && count > 1 && count <= Math.min(4, shape.size);
            const fits = driver.free >= (table ? 1 : count);
            expect(driver.begin(count)).toBe(fits);
            if (!fits) continue;
            const readable = pick % (count + 1);
            const address = BUFFERS + (total++ % 1000) * 256;
            const lengths = Array.from({ length: count }, (_, i) => length + i);
            lengths.forEach((bytes, i) => driver.add(address + i * 32, bytes, i >= readable));
            offered.push({ head: driver.commit(), offer: { address, lengths, readable } });
          } else if (kind === 'pop') {
            const element = device.pop();
            const expected = offered.shift();
            expect(element === null ? undefined : element.head).toBe(expected?.head);
            if (element === null || expected === undefined) continue;
            expect(seen(element)).toEqual(expected.offer);
            flying.push({ element, done: false });
          } else if (kind === 'complete') {
            const open = flying.filter(({ done }) => !done);
            if (open.length === 0) continue;
            const chosen = open[pick % open.length];
            const written = Math.min(length, chosen.element.inBytes);
            chosen.done = true;
            early.set(chosen.element, written);
            device.fill(chosen.element, written);
            const back = shape.inOrder ? prefix(flying) : [chosen];
            expect(device.flush()).toBe(back.length);
            for (const gone of back) {
              flying.splice(flying.indexOf(gone), 1);
              finished.push({
                head: gone.element.head,
                written: early.get(gone.element) ?? 0,
                full: gone.element.inBytes,
              });
            }
          } else {
            const expected = finished.shift();
            expect(driver.take()).toBe(expected !== undefined);
            if (expected === undefined) continue;
            expect([driver.usedHead, driver.usedLength]).toEqual([expected.head, expected.written]);
          }
        }
        while (finished.length > 0 && driver.take()) finished.shift();
        expect(finished).toEqual([]);
        expect(driver.take()).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  /** Those at the front that are done. */
  function prefix<T extends { done: boolean }>(flying: T[]): T[] {
    const end = flying.findIndex(({ done }) => !done);
    return flying.slice(0, end < 0 ? flying.length : end);
  }

  it('2.7.7, 2.7.10, 2.8.10: whoever sleeps until it is told, and tells only who asks, misses nothing', () => {
    fc.assert(
      fc.property(shapes, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 60 }), (shape, bursts) => {
        const { driver, device } = bothHalves(shape);
        driver.setInterrupts(true);
        device.setNotification(true);
        let offered = 0;
        let taken = 0;
        const interrupt = (): void => {
          do {
            driver.setInterrupts(false);
            while (driver.take()) taken++;
          } while (driver.setInterrupts(true));
        };
        const doorbell = (): void => {
          do {
            device.setNotification(false);
            for (let element = device.pop(); element !== null; element = device.pop()) {
              device.fill(element, 1);
              device.flush();
              if (device.shouldNotify()) interrupt();
            }
          } while (device.setNotification(true));
        };
        for (const burst of bursts) {
          for (let i = 0; i < burst && driver.begin(1); i++) {
            driver.add(BUFFERS, 1, true);
            driver.commit();
            offered++;
          }
          if (driver.kick()) doorbell();
          expect(taken).toBe(offered);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('a plain chain taken the short way is what the long way makes of it, and leaves the same ring', () => {
    fc.assert(
      fc.property(
        shapes.filter(({ inOrder }) => !inOrder),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.nat(40)), {
          minLength: 30,
          maxLength: 80,
        }),
        (shape, chains) => {
          const short = bothHalves(shape);
          const long = bothHalves(shape);
          const chain = new PlainChain();
          let taken = 0;
          for (const [count, writable, length] of chains) {
            if (count > shape.size) continue;
            for (const { driver } of [short, long]) {
              driver.begin(count);
              for (let i = 0; i < count; i++) {
                driver.add(BUFFERS + i * 64, length + 1, i > (writable ? 0 : 1));
              }
              driver.commit();
            }
            const element = long.device.pop();
            if (element === null) throw new Error('nothing offered');
            if (short.device.popPlain(chain)) {
              taken++;
              expect([chain.head, chain.header, chain.data, chain.status]).toEqual([
                element.head,
                ...element.offsets.subarray(0, 3),
              ]);
              expect(chain.writable).toBe(element.inCount === 2);
              expect(short.device.completePlain(chain, 5)).toBe(complete(long.device, element));
            } else {
              const same = short.device.pop();
              if (same === null) throw new Error('nothing offered');
              expect(seen(same)).toEqual(seen(element));
              expect(complete(short.device, same)).toBe(complete(long.device, element));
            }
            const bytes = queueBytes(shape.layout, shape.size, 4);
            const ring = (half: typeof short): Uint8Array => half.memory.bytes.subarray(QUEUE, QUEUE + bytes);
            expect(Buffer.compare(ring(short), ring(long))).toBe(0);
            expect([short.driver.take(), long.driver.take()]).toEqual([true, true]);
          }
          // The first chain tells the queue where its memory lies; from then on those of three go the short way.
          const plain = chains.filter(([count]) => count === 3).length;
          expect(taken).toBeGreaterThanOrEqual(shape.size < 3 ? 0 : plain - 1);
        },
      ),
      { numRuns: RUNS },
    );
  });

  const complete = (device: DeviceQueue, element: QueueElement): boolean => {
    device.fill(element, 5);
    device.flush();
    return device.shouldNotify();
  };
});

describe('virtio 1.2, section 2.9: notification data', () => {
  it('names the queue, and where the next chain goes: the index, or the place with its wrap counter', () => {
    const split = bothHalves({ layout: 'split', size: 4, indirect: false, eventIdx: false, inOrder: false });
    const packed = bothHalves({
      layout: 'packed',
      size: 3,
      indirect: false,
      eventIdx: false,
      inOrder: false,
    });
    expect(packed.driver.notificationData(7)).toBe(0x8000_0007);
    for (const { driver, device } of [split, packed]) {
      for (let i = 0; i < 4; i++) {
        driver.begin(1);
        driver.add(BUFFERS, 1, true);
        driver.commit();
        const element = device.pop();
        if (element === null) throw new Error('nothing offered');
        device.fill(element, 0);
        device.flush();
        driver.take();
      }
    }
    expect(split.driver.notificationData(7)).toBe(0x0004_0007);
    expect(packed.driver.notificationData(7)).toBe(0x0001_0007);
  });
});

describe('virtio 1.2, sections 2.7.9 and 2.8.9: IN_ORDER', () => {
  it.each(['split', 'packed'] as const)(
    '%s: one used element stands for a batch that was used completely',
    (layout) => {
      const shape = { layout, size: 8, indirect: false, eventIdx: false, inOrder: true };
      const { driver, device, memory } = bothHalves(shape);
      const heads = [0, 1, 2, 3].map((i) => {
        driver.begin(1);
        driver.add(BUFFERS + i * 64, 10 + i, true);
        return driver.commit();
      });
      const elements = heads.map(() => device.pop());
      const fill = (i: number, written: number): void => {
        const element = elements[i];
        if (element !== null) device.fill(element, written);
      };
      fill(2, 5);
      expect(device.flush()).toBe(0);
      expect(device.shouldNotify()).toBe(false);
      fill(1, 11);
      fill(0, 10);
      const before = memory.bytes.slice(QUEUE, QUEUE + 4096);
      expect(device.flush()).toBe(3);
      expect(device.shouldNotify()).toBe(true);
      // One element of 8 bytes (or the words of one descriptor) and the index changed, not three.
      const changed = memory.bytes.slice(QUEUE, QUEUE + 4096).filter((byte, i) => byte !== before[i]).length;
      expect(changed).toBeLessThanOrEqual(5);
      const back: number[][] = [];
      while (driver.take()) back.push([driver.usedHead, driver.usedLength]);
      expect(back).toEqual([
        [heads[0], 10],
        [heads[1], 11],
        [heads[2], 5],
      ]);
    },
  );
});
