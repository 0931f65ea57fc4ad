/** Rings and buffers at the edges of guest memory: the end of a region, a hole, the way over 4 GiB. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestMemory, type MemoryRegion } from '../../machine/memory.ts';
import { availBytes, descBytes, usedBytes } from './layout.ts';
import { EVENT_BYTES, packedBytes } from './packed-layout.ts';
import { PlainChain } from './plain.ts';
import type { DeviceQueue, QueueAddresses } from './queue.ts';
import { deviceQueue, driverQueue, type Layout } from './rings.ts';

const SIZE = 8;
const ABOVE_4G = 0x1_0000_0000;
const KIB = 1024;
/** Low memory that ends in a hole, and memory from 4 GiB on; the buffer has both side by side. */
const LOW: MemoryRegion = { base: 0, size: 64 * KIB, offset: 0 };
const HIGH: MemoryRegion = { base: ABOVE_4G, size: 64 * KIB, offset: 64 * KIB };

const open = (regions: MemoryRegion[], bytes = new Uint8Array(128 * KIB)): GuestMemory =>
  new GuestMemory({ regions, current: () => bytes });

/** Bytes of the parts, by their names in `QueueAddresses`. */
const PARTS: Readonly<Record<Layout, Readonly<Record<'desc' | 'driver' | 'device', number>>>> = {
  split: { desc: descBytes(SIZE), driver: availBytes(SIZE), device: usedBytes(SIZE) },
  packed: { desc: packedBytes(SIZE), driver: EVENT_BYTES, device: EVENT_BYTES },
};

describe.each(['split', 'packed'] as const)('virtio 1.2, sections 2.7 and 2.8: a %s queue', (layout) => {
  const features = { indirect: true, eventIdx: true };
  const parts = PARTS[layout];
  const names = ['desc', 'driver', 'device'] as const;
  const at: QueueAddresses = { size: SIZE, desc: 0x1000, driver: 0x2000, device: 0x3000 };

  it.each(names)('%s may end where its region ends, and no byte later', (part) => {
    const end = LOW.base + LOW.size;
    const fits = end - parts[part];
    expect(() => deviceQueue(layout, open([LOW, HIGH]), { ...at, [part]: fits }, features)).not.toThrow();
    const refused = expect.objectContaining({ code: 'virtio.queue-address' });
    for (const address of [fits + 1, end, ABOVE_4G - 1, ABOVE_4G + HIGH.size, 2 ** 63]) {
      expect(() => deviceQueue(layout, open([LOW, HIGH]), { ...at, [part]: address }, features)).toThrowError(
        refused,
      );
    }
  });

  it.each([
    ['below a hole', LOW.base],
    ['above 4 GiB', HIGH.base],
  ])('%s: what is offered comes back, and nothing outside its parts is written', (_, base) => {
    const buffers = fc.record({
      high: fc.boolean(),
      offset: fc.integer({ min: 32 * KIB, max: 60 * KIB }),
      length: fc.integer({ min: 1, max: 2 * KIB }),
      writable: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(buffers, { minLength: 1, maxLength: 30 }), fc.boolean(), (list, indirect) => {
        const memory = open([LOW, HIGH]);
        const driver = driverQueue(layout, memory, base, SIZE, {
          indirect,
          eventIdx: true,
          indirectEntries: 3,
        });
        const device = deviceQueue(layout, memory, driver.addresses, { indirect, eventIdx: true });
        const writable = new Uint8Array(memory.bytes.length);
        const ring = memory.require(base, 1);
        const allowed = (address: number, bytes: number): void => {
          const offset = memory.require(address, bytes);
          writable.fill(1, offset, offset + bytes);
        };
        // Used elements or descriptors, and the event of the device.
        allowed(driver.addresses.device, parts.device);
        if (layout === 'packed') allowed(driver.addresses.desc, parts.desc);
        for (const { high, offset, length, writable: write } of list) {
          const address = (high ? HIGH.base : LOW.base) + offset;
          expect(driver.begin(1)).toBe(true);
          driver.add(address, length, write);
          driver.commit();
          const before = memory.bytes.slice();
          device.setNotification(false);
          const element = device.pop();
          if (element === null) throw new Error('nothing was offered');
          expect([element.offsets[0], element.lengths[0]]).toEqual([memory.locate(address, length), length]);
          device.fill(element, write ? length : 0);
          device.flush();
          device.shouldNotify();
          device.setNotification(true);
          const touched = memory.bytes.findIndex((byte, i) => byte !== before[i] && writable[i] === 0);
          expect(touched, `byte ${touched - ring} of the ring`).toBe(-1);
          expect(driver.take()).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });

  it.each<[string, number, number]>([
    ['into the hole', LOW.size - 1, 2],
    ['in the hole', LOW.size, 1],
    ['over 4 GiB, from the hole into memory', ABOVE_4G - 1, 2],
    ['past the end', ABOVE_4G + HIGH.size - 1, 2],
    ['whose end wraps 32 bits', 0xffff_fff0, 0x20],
    ['of the whole of memory', 0, 128 * KIB],
  ])('a buffer %s is refused, on the short way as on the long one', (_, address, length) => {
    const memory = open([LOW, HIGH]);
    const driver = driverQueue(layout, memory, LOW.base, SIZE, { indirect: false, eventIdx: false });
    const device = deviceQueue(layout, memory, driver.addresses, { indirect: false, eventIdx: false });
    const offer = (data: number, bytes: number): void => {
      driver.begin(3);
      driver.add(0x4000, 16, false);
      driver.add(data, bytes, true);
      driver.add(0x4100, 1, true);
      driver.commit();
    };
    // Makes the region known, as the short way wants it.
    offer(0x5000, 512);
    give(device, driver);
    offer(address, length);
    expect(device.popPlain(new PlainChain())).toBe(false);
    expect(() => device.pop()).toThrowError(expect.objectContaining({ code: 'virtio.desc-address' }));
  });
});

function give(device: DeviceQueue, driver: { take(): boolean }): void {
  const element = device.pop();
  if (element === null) throw new Error('nothing was offered');
  device.fill(element, 0);
  device.flush();
  expect(driver.take()).toBe(true);
}
