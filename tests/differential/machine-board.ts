/** Platter's side of a comparison: guest memory, address spaces and one device that works whenever a register was written. */
import { AddressSpace } from '#engine/machine/address-space.ts';
import type { InterruptSink } from '#engine/machine/interrupts.ts';
import { createMemory, type GuestMemory } from '#engine/machine/memory.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import type { Board } from './board.ts';

export const MEMORY_BYTES = 64 * 1024 * 1024;

export interface Machine {
  readonly memory: GuestMemory;
  readonly space: AddressSpace;
  readonly io: AddressSpace;
  readonly trace: TraceRing;
  /** Messages are written to memory, as QEMU does; the level of lines is told by `Board.lines`. */
  readonly interrupts: InterruptSink;
  /** The level of a line without a number changed. */
  line: (level: boolean) => void;
  readonly board: Board;
}

/** `process`: lets the device do everything that it has to do. */
export function machine(process: () => void): Machine {
  const memory = createMemory(MEMORY_BYTES);
  const space = new AddressSpace();
  const io = new AddressSpace();
  const levels: string[] = [];
  const line = (level: boolean): void => void levels.push(level ? 'IRQ raise' : 'IRQ lower');
  const board: Board = {
    name: 'platter',
    portRead: async (port, size) => io.read(port, size),
    portWrite: async (port, size, value) => {
      io.write(port, size, value);
      process();
    },
    read: async (address, size) =>
      memory.locate(address, size) >= 0 ? memory.readUint(address, size) : space.read(address, size),
    write: async (address, size, value) => {
      if (memory.locate(address, size) >= 0) {
        memory.writeUint(address, size, value);
        return;
      }
      const doorbell = space.doorbellAt(address);
      if (doorbell === undefined) space.write(address, size, value);
      else doorbell.ring(value);
      process();
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
  const interrupts: InterruptSink = {
    message: (address, data) => memory.writeUint(address, 4, data),
    line: (_slot, _pin, level) => line(level),
  };
  return { memory, space, io, trace: new TraceRing({ capacity: 4096 }), interrupts, line, board };
}
