/** Platter's side of a machine with a virtio-blk: in slot 4 of the root bus, behind a bridge, or on a virtio-mmio transport. */
import type { BlockNode } from '#engine/block/node.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { BRIDGES, PciBridge } from '#engine/machine/pci/bridge.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import { VirtioBlk } from '#engine/virtio/blk/device.ts';
import type { BlkProperties } from '#engine/virtio/blk/options.ts';
import { VirtioMmio } from '#engine/virtio/transport/mmio.ts';
import { VirtioPci } from '#engine/virtio/transport/pci.ts';
import { MMIO_AT, SLOT, type Board } from './board.ts';
import { machine, type Machine } from './machine-board.ts';

const CLASS_STORAGE = 0x01_0000;

export function platterBoard(
  node: BlockNode,
  properties: Partial<BlkProperties>,
  interfaces: { legacy?: boolean; modern?: boolean } = {},
): Board {
  return platterBlk(node, properties, interfaces).board;
}

export function platterBlk(
  node: BlockNode,
  properties: Partial<BlkProperties>,
  interfaces: { legacy?: boolean; modern?: boolean } = {},
): { board: Board; device: VirtioBlk } {
  const { device, interrupts, space, io, board } = withDisk(node, properties);
  const transport = new VirtioPci(device, {
    interrupts,
    memory: space,
    classCode: CLASS_STORAGE,
    ...interfaces,
  });
  new PciRoot(space, io).plug(transport.pci, SLOT);
  return { board, device };
}

/** The same behind a bridge in slot 5 of the root bus; the device is in slot `SLOT` of the bus behind. */
export const BRIDGE_SLOT = 5;
export function platterBridgeBoard(node: BlockNode, bridgeDriver: string): Board {
  const { device, interrupts, space, io, board } = withDisk(node, {});
  const root = new PciRoot(space, io);
  const bridge = new PciBridge({ name: bridgeDriver, ...BRIDGES[bridgeDriver] }, space, io);
  root.plugBridge(bridge, BRIDGE_SLOT);
  const transport = new VirtioPci(device, { interrupts, memory: space, classCode: CLASS_STORAGE });
  bridge.secondary.plug(transport.pci, bridgeDriver === 'pci-bridge' ? SLOT : 0);
  return board;
}

/** Platter's side of a microvm: the device behind a virtio-mmio transport. */
export function platterMmioBoard(
  node: BlockNode,
  properties: Partial<BlkProperties>,
  legacy: boolean,
): Board {
  const { device, space, line, board } = withDisk(node, properties);
  space.map(MMIO_AT, new VirtioMmio(device, { legacy, memory: space, line }));
  return board;
}

/** The transport is the caller's. */
function withDisk(node: BlockNode, properties: Partial<BlkProperties>): Machine & { device: VirtioBlk } {
  const parts = machine(() => device.process());
  const { memory, trace } = parts;
  const device = new VirtioBlk({ name: 'disk', memory, trace, node, host: new HostIo(trace), properties });
  return { ...parts, device };
}
