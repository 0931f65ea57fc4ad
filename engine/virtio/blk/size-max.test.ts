/** virtio 1.2, section 5.2.3, VIRTIO_BLK_F_SIZE_MAX: what the device does with longer segments, and that the driver makes none. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GuestAllocator } from '../../guest/allocator.ts';
import { BlockLayer } from '../../guest/block-layer.ts';
import { Slot } from '../../guest/block-request.ts';
import { GuestBus } from '../../guest/bus.ts';
import { GuestDisk } from '../../guest/disk.ts';
import { VirtioBlkDriver } from '../../guest/virtio-blk.ts';
import { VirtioMmioDriver } from '../../guest/virtio-mmio.ts';
import { AddressSpace } from '../../machine/address-space.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory } from '../../machine/memory.ts';
import { OP } from '../../trace/format.ts';
import { TraceRing } from '../../trace/ring.ts';
import { F } from '../features.ts';
import { arrayNode, header, openRig } from '../testing/rig.ts';
import { VirtioMmio } from '../transport/mmio.ts';
import { VirtioBlk } from './device.ts';
import type { BlkProperties } from './options.ts';
import { BLK_S, BLK_T } from './protocol.ts';

const MIB = 1024 * 1024;

describe.each(['split', 'packed'] as const)('the device (%s)', (layout) => {
  const limited = (features: number[]) =>
    openRig({ layout, node: arrayNode(65536), properties: { sizeMax: 1024 }, features });

  it.each<[string, number[], number]>([
    ['two buffers of size_max', [1024, 1024], BLK_S.ok],
    ['one that is longer', [1024, 1536], BLK_S.ioerr],
    ['a single long one, which could take the short way', [4096], BLK_S.ioerr],
  ])('reads and writes %s', (_, lengths, status) => {
    const rig = limited([F.BLK_SIZE_MAX]);
    // So that the next header lies on a boundary of words in memory that was used before: the short way wants that.
    expect(rig.request(BLK_T.getId, 0, new Uint8Array(0), 19).status).toBe(BLK_S.ok);
    for (const write of [true, false]) {
      const data = lengths.map((bytes) => (write ? new Uint8Array(bytes).fill(7) : bytes));
      const places = rig.offer([header(write ? BLK_T.out : BLK_T.in, 0), ...data, 1]);
      rig.go();
      expect(rig.ring.take()).toBe(true);
      expect(rig.memory.readUint(places.at(-1) ?? 0, 1)).toBe(status);
    }
    expect(rig.device.isBroken).toBe(false);
    expect(rig.request(BLK_T.in, 0, new Uint8Array(0), 512).data.every((byte) => byte === 7)).toBe(
      status === BLK_S.ok,
    );
  });

  it('counts what is data, wherever the driver cut its buffers (section 2.7.4)', () => {
    const rig = limited([F.BLK_SIZE_MAX]);
    // Header and data in one, data and status in one.
    const whole = new Uint8Array(16 + 1024);
    whole.set(header(BLK_T.out, 0));
    const written = rig.offer([whole, 1]);
    const read = rig.offer([header(BLK_T.in, 0), 1025]);
    rig.go();
    expect(rig.memory.readUint(written[1], 1)).toBe(BLK_S.ok);
    expect(rig.memory.readUint(read[1] + 1024, 1)).toBe(BLK_S.ok);
  });

  it('binds nobody who has not negotiated it', () => {
    expect(limited([]).request(BLK_T.in, 0, new Uint8Array(0), 4096).status).toBe(BLK_S.ok);
  });
});

/** The guest's driver and block layer over a device, without a machine around them. */
function driven(properties: Partial<BlkProperties>) {
  const memory = createMemory(8 * MIB);
  const trace = new TraceRing({ capacity: 1024 });
  const node = arrayNode(MIB);
  const host = new HostIo(trace);
  const device = new VirtioBlk({ name: 'disk', memory, trace, node, host, properties });
  const space = new AddressSpace();
  const base = 0xfeb0_0000;
  const transport = new VirtioMmio(device, { legacy: false, memory: space, line: () => undefined });
  space.map(base, transport);
  const bus = new GuestBus(space, new AddressSpace(), trace);
  const driver = new VirtioBlkDriver({
    transport: new VirtioMmioDriver(bus, base),
    memory,
    allocator: new GuestAllocator(memory),
    trace,
  });
  driver.probe(1);
  const layer = new BlockLayer(driver.limits);
  const disk = new GuestDisk({ index: 0, driver, unit: 0, seed: 1 });
  /** Requests of a program, `bytes` each: bios, merged where they may be, each request through the device. Answers the buffers of each. */
  const run = (
    op: number,
    offset: number,
    bytes: number,
    buffer: number,
    count = 1,
  ): { buffers: number; error: number }[] => {
    for (let nth = 0; nth < count; nth++) {
      const from = nth * bytes;
      const slot = Object.assign(new Slot(buffer + from, disk, 0), { op, offset: offset + from, bytes });
      for (let done = 0; done < bytes / 512;) {
        const bio = layer.bio(slot, done);
        done += bio.sectors;
        if (layer.merge(bio) === undefined) layer.insert(bio);
      }
    }
    const [queue] = driver.queues;
    const done: { buffers: number; error: number }[] = [];
    for (let request = layer.take(); request !== undefined; request = layer.take()) {
      const buffers = driver.buffers(request);
      driver.add(queue, request);
      device.notify(0);
      device.process();
      expect(queue.ring.take()).toBe(true);
      expect(driver.finished(queue)).toBe(request);
      done.push({ buffers, error: request.error });
      layer.complete(request, () => undefined);
    }
    return done;
  };
  return { driver, memory, node, device, run };
}

describe('the driver', () => {
  it('cuts a request into buffers of size_max, as Linux’ block layer does', () => {
    const { run, node, memory } = driven({ sizeMax: 4096 });
    memory.write(4 * MIB, new Uint8Array(65536).fill(9));
    expect(run(OP.write, 0, 65536, 4 * MIB)).toEqual([{ buffers: 2 + 16, error: 0 }]);
    expect(node.disk.subarray(0, 65536).every((byte) => byte === 9)).toBe(true);
    // Not a multiple of it: the last buffer is shorter.
    expect(run(OP.read, 0, 6144, 5 * MIB)).toEqual([{ buffers: 4, error: 0 }]);
  });

  it('needs one buffer where there is no limit', () => {
    expect(driven({}).run(OP.write, 0, 65536, 4 * MIB)).toEqual([{ buffers: 3, error: 0 }]);
  });

  it('asks for a range by one segment, not by data', () => {
    const { run, node } = driven({ secureErase: true, maxSecureEraseSectors: 64 });
    node.disk.fill(0xff);
    expect(run(OP.secureErase, 4096, 8192, 4 * MIB)).toEqual([{ buffers: 3, error: 0 }]);
    expect(node.disk.every((byte, i) => byte === (i >= 4096 && i < 12288 ? 0 : 0xff))).toBe(true);
    expect(run(OP.writeZeroes, 0, 4096, 4 * MIB)).toEqual([{ buffers: 3, error: 0 }]);
    expect(node.disk[0]).toBe(0);
    const EOPNOTSUPP = 95;
    expect(driven({}).run(OP.secureErase, 0, 4096, 4 * MIB)).toEqual([{ buffers: 3, error: EOPNOTSUPP }]);
  });

  it('breaks neither size_max nor seg_max, whatever they are', () => {
    const sizes = fc.record({
      sizeMax: fc.integer({ min: 512, max: 70_000 }),
      queueSize: fc.constantFrom(4, 8, 16, 32, 64, 128),
    });
    // Requests that lie side by side, and are merged.
    const places = fc.record({
      sectors: fc.integer({ min: 1, max: 256 }),
      count: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(sizes, places, fc.boolean(), (properties, { sectors, count }, write) => {
        const { run, device } = driven(properties);
        const done = run(write ? OP.write : OP.read, 0, sectors * 512, 4 * MIB, count);
        expect(done.every(({ error }) => error === 0)).toBe(true);
        expect(done.every(({ buffers }) => buffers <= properties.queueSize)).toBe(true);
        expect(device.stats.errors).toBe(0);
        expect(device.stats[write ? 'bytesWritten' : 'bytesRead']).toBe(count * sectors * 512);
      }),
      { numRuns: 60 },
    );
  });
});
