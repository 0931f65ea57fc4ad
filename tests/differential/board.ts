/**
 * One interface to two machines with a virtio-blk-pci in slot 4: Platter's, and QEMU's over qtest. A script of register and memory
 * operations runs on both and must get the same answers.
 */
import type { BlockNode } from '#engine/block/node.ts';
import { AddressSpace, type AccessSize } from '#engine/machine/address-space.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import type { InterruptSink } from '#engine/machine/interrupts.ts';
import { createMemory, type GuestMemory } from '#engine/machine/memory.ts';
import { BRIDGES, PciBridge } from '#engine/machine/pci/bridge.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import { VirtioBlk } from '#engine/virtio/blk/device.ts';
import type { BlkProperties } from '#engine/virtio/blk/options.ts';
import { VirtioMmio } from '#engine/virtio/transport/mmio.ts';
import { VirtioPci } from '#engine/virtio/transport/pci.ts';
import type { QTest } from './qtest.ts';

/** PCI slot of the device on both machines. */
export const SLOT = 4;
export const MEMORY_BYTES = 64 * 1024 * 1024;

export interface Board {
  readonly name: 'platter' | 'qemu';
  portRead(port: number, size: AccessSize): Promise<number>;
  portWrite(port: number, size: AccessSize, value: number): Promise<void>;
  /** A register or memory, whichever lies at the address. */
  read(address: number, size: AccessSize): Promise<number>;
  write(address: number, size: AccessSize, value: number): Promise<void>;
  readBytes(address: number, length: number): Promise<Uint8Array>;
  writeBytes(address: number, bytes: Uint8Array): Promise<void>;
  /** Changes of the level of the device's interrupt line since the last call. */
  lines(): Promise<string[]>;
  close(): Promise<void>;
}

/** QEMU's side. `io-apic` inputs tell of the line; PIRQ E–H of q35 are 20–23. */
export function qemuBoard(qtest: QTest): Board {
  const suffix = { 1: 'b', 2: 'w', 4: 'l' } as const;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return {
    name: 'qemu',
    portRead: async (port, size) => Number(await qtest.ask(`in${suffix[size]} ${hex(port)}`)),
    portWrite: async (port, size, value) =>
      void (await qtest.ask(`out${suffix[size]} ${hex(port)} ${hex(value)}`)),
    read: async (address, size) => Number(await qtest.ask(`read${suffix[size]} ${hex(address)}`)),
    write: async (address, size, value) =>
      void (await qtest.ask(`write${suffix[size]} ${hex(address)} ${hex(value)}`)),
    readBytes: async (address, length) =>
      new Uint8Array(Buffer.from(await qtest.ask(`b64read ${hex(address)} ${hex(length)}`), 'base64')),
    writeBytes: async (address, bytes) =>
      void (await qtest.ask(
        `b64write ${hex(address)} ${hex(bytes.length)} ${Buffer.from(bytes).toString('base64')}`,
      )),
    lines: async () => {
      await qtest.ask('inl 0xcf8');
      return qtest.takeInterrupts().map((line) => line.replace(/ \d+$/, ''));
    },
    close: () => qtest.close(),
  };
}

/** Platter's side: the device on a bus, memory behind it, messages to memory written there as QEMU does. */
export function platterBoard(
  node: BlockNode,
  properties: Partial<BlkProperties>,
  interfaces: { legacy?: boolean; modern?: boolean } = {},
): Board {
  const { device, memory, space, io, levels, board } = machine(node, properties);
  const interrupts: InterruptSink = {
    message: (address, data) => memory.writeUint(address, 4, data),
    line: (_slot, _pin, level) => void levels.push(level ? 'IRQ raise' : 'IRQ lower'),
  };
  const bus = new PciRoot(space, io);
  const transport = new VirtioPci(device, {
    interrupts,
    memory: space,
    classCode: 0x01_0000,
    ...interfaces,
  });
  bus.plug(transport.pci, SLOT);
  return board;
}

/** The same behind a bridge in slot 5 of the root bus; the device is in slot `SLOT` of the bus behind. */
export const BRIDGE_SLOT = 5;
export function platterBridgeBoard(node: BlockNode, bridgeDriver: string): Board {
  const { device, memory, space, io, levels, board } = machine(node, {});
  const interrupts: InterruptSink = {
    message: (address, data) => memory.writeUint(address, 4, data),
    line: (_slot, _pin, level) => void levels.push(level ? 'IRQ raise' : 'IRQ lower'),
  };
  const root = new PciRoot(space, io);
  const bridge = new PciBridge({ name: bridgeDriver, ...BRIDGES[bridgeDriver] }, space, io);
  root.plugBridge(bridge, BRIDGE_SLOT);
  const transport = new VirtioPci(device, { interrupts, memory: space, classCode: 0x01_0000 });
  bridge.secondary.plug(transport.pci, bridgeDriver === 'pci-bridge' ? SLOT : 0);
  return board;
}

/** Where a virtio-mmio transport of QEMU's microvm lies: the last of eight, which takes the first device. */
export const MMIO_AT = 0xfeb0_0e00;

/** Platter's side of a microvm: the device behind a virtio-mmio transport. */
export function platterMmioBoard(
  node: BlockNode,
  properties: Partial<BlkProperties>,
  legacy: boolean,
): Board {
  const { device, space, levels, board } = machine(node, properties);
  const transport = new VirtioMmio(device, {
    legacy,
    memory: space,
    line: (level) => void levels.push(level ? 'IRQ raise' : 'IRQ lower'),
  });
  space.map(MMIO_AT, transport);
  return board;
}

interface Parts {
  device: VirtioBlk;
  memory: GuestMemory;
  space: AddressSpace;
  io: AddressSpace;
  levels: string[];
  board: Board;
}

/** Memory, address spaces and a block device that works whenever a register was written; the transport is the caller's. */
function machine(node: BlockNode, properties: Partial<BlkProperties>): Parts {
  const memory = createMemory(MEMORY_BYTES);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const trace = new TraceRing({ capacity: 4096 });
  const device = new VirtioBlk({ name: 'disk', memory, trace, node, host: new HostIo(trace), properties });
  const levels: string[] = [];
  const later = async <T>(value: T): Promise<T> => value;
  const board: Board = {
    name: 'platter',
    portRead: (port, size) => later(io.read(port, size)),
    portWrite: async (port, size, value) => {
      io.write(port, size, value);
      device.process();
    },
    read: (address, size) =>
      later(memory.locate(address, size) >= 0 ? memory.readUint(address, size) : space.read(address, size)),
    write: async (address, size, value) => {
      if (memory.locate(address, size) >= 0) {
        memory.writeUint(address, size, value);
        return;
      }
      const doorbell = space.doorbellAt(address);
      if (doorbell === undefined) space.write(address, size, value);
      else doorbell.ring(value);
      device.process();
    },
    readBytes: async (address, length) => {
      const bytes = new Uint8Array(length);
      memory.read(address, bytes);
      return bytes;
    },
    writeBytes: async (address, bytes) => memory.write(address, bytes),
    lines: () => later(levels.splice(0)),
    close: () => later(undefined),
  };
  return { device, memory, space, io, levels, board };
}
