/**
 * Random writes and reads of every register of every transport (hostile inputs, devices, lines 12 and 15), over rings full of random bytes:
 * nothing throws, the work is bounded, and a reset brings the device back. `PLATTER_REGISTER_FUZZ` makes more of them.
 */
import { expect, it } from 'vitest';
import { Random } from '../../guest/workload.ts';
import { AddressSpace } from '../../machine/address-space.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory } from '../../machine/memory.ts';
import { PciRoot } from '../../machine/pci/root.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import { TraceRing } from '../../trace/ring.ts';
import { VirtioBlk } from '../blk/device.ts';
import { STATUS } from '../features.ts';
import { VirtioScsi } from '../scsi/device.ts';
import { arrayNode } from '../testing/rig.ts';
import { MMIO_SIZE } from './mmio-layout.ts';
import { VirtioMmio } from './mmio.ts';
import { COMMON, LEGACY_BAR, MODERN_BAR, REGION } from './pci-layout.ts';
import { VirtioPci } from './pci.ts';

const RUNS = Number(process.env.PLATTER_REGISTER_FUZZ ?? 4);
const ACCESSES = 1500;
const DISK_BYTES = 1024 * 1024;
const MEMORY_BYTES = 4 * 1024 * 1024;
const RINGS = 0x10_0000;
const BAR = { modern: 0xe000_0000, legacy: 0xc000, mmio: 0xfeb0_0000 } as const;
const UP = STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk;

type Kind = 'modern' | 'legacy' | 'mmio 1' | 'mmio 2';
interface Access {
  read: (offset: number, size: 1 | 2 | 4) => number;
  write: (offset: number, size: 1 | 2 | 4, value: number) => void;
  /** Bytes of the registers. */
  size: number;
  /** Offset of the status. */
  status: number;
  /** Offsets that a driver writes, more often than others. */
  hot: readonly number[];
}

function device(kind: 'virtio-blk' | 'virtio-scsi', packed: boolean) {
  const memory = createMemory(MEMORY_BYTES);
  const trace = new TraceRing({ capacity: 1024 });
  const host = new HostIo(trace);
  const node = arrayNode(DISK_BYTES);
  const shared = { name: kind, memory, trace, host };
  if (kind === 'virtio-blk') {
    const properties = { packed, numQueues: 2, secureErase: true, sizeMax: 4096 };
    return { node, device: new VirtioBlk({ ...shared, node, properties }) };
  }
  const scsi = new VirtioScsi({ ...shared, properties: { packed } });
  scsi.attach(0, 0, new ScsiDisk({ node, kind: 'disk' }));
  return { node, device: scsi };
}

function connect(target: VirtioBlk | VirtioScsi, kind: Kind): Access {
  const space = new AddressSpace();
  const io = new AddressSpace();
  if (kind === 'mmio 1' || kind === 'mmio 2') {
    const mmio = new VirtioMmio(target, { legacy: kind === 'mmio 1', memory: space, line: () => undefined });
    space.map(BAR.mmio, mmio);
    return {
      read: (offset, size) => space.read(BAR.mmio + offset, size),
      write: (offset, size, value) => space.write(BAR.mmio + offset, size, value),
      size: MMIO_SIZE,
      status: 0x70,
      hot: [0x20, 0x24, 0x28, 0x30, 0x38, 0x3c, 0x40, 0x44, 0x50, 0x64, 0x70, 0x80, 0x90, 0xa0, 0x114, 0x118],
    };
  }
  const legacy = kind === 'legacy';
  const { pci } = new VirtioPci(target, {
    interrupts: { message: () => undefined, line: () => undefined },
    memory: space,
    classCode: 0x01_0000,
    legacy,
    modern: !legacy,
  });
  new PciRoot(space, io).plug(pci, 3);
  const [bar, base] = legacy ? [LEGACY_BAR, BAR.legacy] : [MODERN_BAR, BAR.modern];
  pci.write(0x10 + bar * 4, 4, base);
  pci.write(4, 2, 7);
  const to = legacy ? io : space;
  return {
    read: (offset, size) => to.read(base + offset, size),
    write: (offset, size, value) => to.write(base + offset, size, value),
    size: legacy ? 0x40 : 0x4000,
    status: legacy ? 18 : REGION.common + COMMON.status,
    hot: legacy
      ? [4, 8, 12, 14, 16, 18, 20, 22, 24, 40, 44]
      : [...Object.values(COMMON).map((at) => REGION.common + at), REGION.notify, REGION.notify + 4],
  };
}

const cases = (['virtio-blk', 'virtio-scsi'] as const).flatMap((kind) =>
  (['modern', 'legacy', 'mmio 1', 'mmio 2'] as const).flatMap((transport) =>
    (transport === 'modern' || transport === 'mmio 2' ? [false, true] : [false]).map(
      (packed) => [kind, transport, packed ? 'packed' : 'split'] as const,
    ),
  ),
);

it.each(cases)('%s over %s, %s rings', (kind, transport, layout) => {
  let worked = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new Random(seed * 7919);
    const pick = (most: number): number => Math.floor(random.next() * most);
    const { node, device: target } = device(kind, layout === 'packed');
    const access = connect(target, transport);
    for (let at = RINGS; at < RINGS + 0x4000; at += 2) {
      target.memory.writeUint(at, 2, pick(3) === 0 ? pick(0x1_0000) : pick(4) * 0x80);
    }
    const values = (): number => {
      const kindOf = pick(8);
      if (kindOf === 0) return pick(2 ** 32);
      if (kindOf === 1) return RINGS + pick(8) * 0x800;
      if (kindOf === 2) return (RINGS >> 12) + pick(4);
      if (kindOf === 3) return UP;
      return pick(16) === 0 ? 0xffff_ffff : pick(64);
    };
    for (let i = 0; i < ACCESSES; i++) {
      const size = ([1, 2, 4, 4] as const)[pick(4)];
      const offset = pick(4) === 0 ? pick(access.size) : access.hot[pick(access.hot.length)];
      if (pick(4) === 0) access.read(offset, size);
      else access.write(offset, size, values() % 2 ** (size * 8));
      if (pick(6) === 0) target.process();
    }
    expect(node.disk).toHaveLength(DISK_BYTES);
    worked += target.trace.total;
    access.write(access.status, transport.startsWith('mmio') ? 4 : 1, 0);
    target.process();
    expect(access.read(access.status, transport.startsWith('mmio') ? 4 : 1) & 0xff).toBe(0);
    expect(target.error).toBeUndefined();
    for (const queue of target.queues) expect(queue.enabled).toBe(false);
  }
  expect(worked).toBeGreaterThan(0);
});
