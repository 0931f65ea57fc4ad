/** Platter's side of a machine with a virtio-scsi-pci in slot 4, as board.ts makes one with a virtio-blk-pci. */
import type { AccessSize } from '#engine/machine/address-space.ts';
import { AddressSpace } from '#engine/machine/address-space.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { createMemory } from '#engine/machine/memory.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import { VirtioScsi } from '#engine/virtio/scsi/device.ts';
import type { ScsiProperties } from '#engine/virtio/scsi/options.ts';
import { VirtioPci } from '#engine/virtio/transport/pci.ts';
import { MEMORY_BYTES, SLOT, type Board } from './board.ts';

export interface ScsiBoard {
  board: Board;
  device: VirtioScsi;
}

export function platterScsiBoard(
  properties: Partial<ScsiProperties> = {},
  interfaces: { legacy: boolean; modern: boolean } = { legacy: false, modern: true },
  irqfd = false,
): ScsiBoard {
  const memory = createMemory(MEMORY_BYTES);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const trace = new TraceRing({ capacity: 4096 });
  const device = new VirtioScsi({
    name: 'scsi',
    memory,
    trace,
    host: new HostIo(trace, { onReady: () => device.process() }),
    onReady: () => device.process(),
    properties,
    irqfd,
  });
  const levels: string[] = [];
  const transport = new VirtioPci(device, {
    interrupts: {
      message: (address, data) => memory.writeUint(address, 4, data),
      line: (_slot, _pin, level) => void levels.push(level ? 'IRQ raise' : 'IRQ lower'),
    },
    memory: space,
    classCode: 0x01_0000,
    ...interfaces,
  });
  new PciRoot(space, io).plug(transport.pci, SLOT);
  const board: Board = {
    name: 'platter',
    portRead: async (port, size) => io.read(port, size),
    portWrite: async (port, size, value) => {
      io.write(port, size, value);
      device.process();
    },
    read: async (address: number, size: AccessSize) =>
      memory.locate(address, size) >= 0 ? memory.readUint(address, size) : space.read(address, size),
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
    lines: async () => levels.splice(0),
    close: async () => undefined,
  };
  return { board, device };
}
