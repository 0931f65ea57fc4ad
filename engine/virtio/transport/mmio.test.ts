/** virtio 1.2, section 4.2.2, QueueReset: what QEMU 7.2’s transport offers and does not have. */
import { expect, it } from 'vitest';
import type { BlockNode } from '../../block/node.ts';
import { AddressSpace } from '../../machine/address-space.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory } from '../../machine/memory.ts';
import { TraceRing } from '../../trace/ring.ts';
import { VirtioBlk } from '../blk/device.ts';
import { F, featureSet, STATUS } from '../features.ts';
import { driverQueue } from '../queue/rings.ts';
import { arrayNode, header } from '../testing/rig.ts';
import { MMIO } from './mmio-layout.ts';
import { VirtioMmio } from './mmio.ts';

const MIB = 1024 * 1024;
const SIZE = 16;
const RING = 0x10_0000;
const BUFFERS = 0x20_0000;

/** A device whose reads wait until they are let go, driven by hand. */
function up(features: bigint) {
  const memory = createMemory(4 * MIB);
  const trace = new TraceRing({ capacity: 1024 });
  const waiting: (() => void)[] = [];
  const node: BlockNode = {
    ...arrayNode(MIB),
    read: (_, target) => new Promise<void>((resolve) => waiting.push(() => (target.fill(0xaa), resolve()))),
  };
  const host: HostIo = new HostIo(trace, { onReady: () => void device.process() });
  const device: VirtioBlk = new VirtioBlk({ name: 'disk', memory, trace, node, host });
  const mmio = new VirtioMmio(device, { memory: new AddressSpace(), line: () => undefined });
  const write = (register: number, value: number): void => mmio.write(register, 4, value);
  for (const value of [0, 1, 3]) write(MMIO.status, value);
  for (const half of [0, 1]) {
    write(MMIO.driverFeaturesSelect, half);
    write(MMIO.driverFeatures, Number((features >> BigInt(half * 32)) & 0xffff_ffffn));
  }
  write(MMIO.status, STATUS.acknowledge | STATUS.driver | STATUS.featuresOk);
  const setUp = () => {
    const ring = driverQueue('split', memory, RING, SIZE, { indirect: false, eventIdx: false });
    write(MMIO.queueSelect, 0);
    write(MMIO.queueSize, SIZE);
    write(MMIO.queueDesc, ring.addresses.desc);
    write(MMIO.queueDriver, ring.addresses.driver);
    write(MMIO.queueDevice, ring.addresses.device);
    write(MMIO.queueReady, 1);
    return ring;
  };
  const ring = setUp();
  write(MMIO.status, STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
  /** Offers a read of one sector; answers whether the device has given it back. */
  const request = (queue: typeof ring): void => {
    memory.write(BUFFERS, header(0, 0));
    memory.write(BUFFERS + 512, new Uint8Array(513));
    queue.begin(3);
    queue.add(BUFFERS, 16, false);
    queue.add(BUFFERS + 512, 512, true);
    queue.add(BUFFERS + 1024, 1, true);
    queue.commit();
    write(MMIO.queueNotify, 0);
    device.process();
  };
  const read = (register: number): number => mmio.read(register, 4);
  return { memory, device, waiting, write, read, setUp, request, ring };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('brings one queue back to what it was after power-on; what was under way is dropped, and it can be set up again', async () => {
  const { memory, device, waiting, write, read, setUp, request, ring } = up(
    featureSet(F.VERSION_1, F.RING_RESET),
  );
  request(ring);
  expect(read(MMIO.queueReset)).toBe(0);
  // Only 1 resets.
  write(MMIO.queueReset, 2);
  expect(read(MMIO.queueReady)).toBe(1);
  write(MMIO.queueReset, 1);
  expect([read(MMIO.queueReady), read(MMIO.queueReset)]).toEqual([0, 0]);
  expect(device.queues[0].size).toBe(device.queues[0].defaultSize);
  waiting[0]();
  await settled();
  expect(ring.take()).toBe(false);
  // Doorbells of a queue that is not there are nobody's; the device itself goes on.
  write(MMIO.queueNotify, 0);
  expect(device.process()).toBe(false);
  expect(read(MMIO.status) & (STATUS.needsReset | STATUS.driverOk)).toBe(STATUS.driverOk);
  const again = setUp();
  request(again);
  waiting[1]();
  await settled();
  expect(again.take()).toBe(true);
  expect(memory.readUint(BUFFERS + 1024, 1)).toBe(0);
});

it('does nothing for a driver that has not negotiated RING_RESET', () => {
  const { write, read } = up(featureSet(F.VERSION_1));
  write(MMIO.queueReset, 1);
  expect(read(MMIO.queueReady)).toBe(1);
});
