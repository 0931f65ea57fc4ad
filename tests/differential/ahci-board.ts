/** Two PCs with the AHCI controller of the ICH9: Platter's, and QEMU's `q35` over qtest. */
import { Ahci } from '#engine/ide/ahci/hba.ts';
import type { IdeDriveOptions } from '#engine/ide/options.ts';
import { AddressSpace } from '#engine/machine/address-space.ts';
import { HostIo } from '#engine/machine/host-io.ts';
import { createMemory } from '#engine/machine/memory.ts';
import { PciRoot } from '#engine/machine/pci/root.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import { MEMORY_BYTES, type Board } from './board.ts';

/** Slot and function of the AHCI controller in QEMU's `q35`. */
export const AHCI_SLOT = 0x1f;
export const AHCI_FUNCTION = 2;

export function platterQ35(drives: readonly (IdeDriveOptions | undefined)[]): Board {
  const memory = createMemory(MEMORY_BYTES);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const trace = new TraceRing({ capacity: 4096 });
  const levels: string[] = [];
  const device = new Ahci({
    name: 'ahci',
    memory,
    trace,
    host: new HostIo(trace),
    interrupts: {
      message: (address, data) => memory.writeUint(address, 4, data),
      line: (_slot, _pin, level) => void levels.push(level ? 'IRQ raise' : 'IRQ lower'),
    },
    drives,
    multifunction: true,
  });
  new PciRoot(space, io).plug(device.pci, AHCI_SLOT, AHCI_FUNCTION);
  const later = async <T>(value: T): Promise<T> => value;
  return {
    name: 'platter',
    portRead: (port, size) => later(io.read(port, size)),
    portWrite: async (port, size, value) => {
      io.write(port, size, value);
      device.process();
    },
    read: (address, size) =>
      later(memory.locate(address, size) >= 0 ? memory.readUint(address, size) : space.read(address, size)),
    write: async (address, size, value) => {
      if (memory.locate(address, size) >= 0) memory.writeUint(address, size, value);
      else space.write(address, size, value);
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
}
