import { describe, expect, it } from 'vitest';
import { AddressSpace, type RegisterRange } from '../address-space.ts';
import { CONFIG_PORTS, ECAM_BASE, PciRoot } from './root.ts';
import { COMMAND, PCI, PciFunction } from './function.ts';
import { Msix, PBA_OFFSET } from './msix.ts';

const identity = {
  name: 'thing',
  vendor: 0x1234,
  device: 0x5678,
  revision: 1,
  classCode: 0x01_0203,
  subsystemVendor: 1,
  subsystem: 2,
  interruptPin: 1,
};

function registers(size: number): RegisterRange & { last: number } {
  const range = {
    name: 'registers',
    size,
    last: 0,
    read: (offset: number): number => offset,
    write: (_: number, __: number, value: number): void => void (range.last = value),
  };
  return range;
}

function plugged() {
  const memory = new AddressSpace();
  const io = new AddressSpace();
  const bus = new PciRoot(memory, io);
  const pci = new PciFunction(identity);
  const range = registers(0x4000);
  pci.addBar(4, 'mem64', true, range);
  const slot = bus.plug(pci, 9);
  return { memory, io, bus, pci, range, slot };
}

describe('PCI 3.0, section 6.2.5: base address registers', () => {
  it('tell their size, move, and are decoded only when the command register says so', () => {
    const { memory, pci, range } = plugged();
    pci.write(PCI.bar0 + 16, 4, 0xffff_ffff);
    expect(pci.read(PCI.bar0 + 16, 4)).toBe(0xffff_c00c);
    pci.write(PCI.bar0 + 16, 4, 0xe000_0000);
    pci.write(PCI.bar0 + 20, 4, 0);
    expect(memory.baseOf(range)).toBeUndefined();
    pci.write(PCI.command, 2, COMMAND.memory);
    expect(memory.read(0xe000_0010, 4)).toBe(0x10);
    pci.write(PCI.bar0 + 20, 4, 1);
    expect(memory.baseOf(range)).toBe(0x1_e000_0000);
    expect(memory.read(0xe000_0010, 4)).toBe(0xffff_ffff);
    pci.reset();
    expect(memory.baseOf(range)).toBeUndefined();
  });

  it('are found by both configuration mechanisms, and what is not there reads as ones', () => {
    const { memory, io, slot } = plugged();
    io.write(CONFIG_PORTS, 4, (0x8000_0000 | (slot << 11)) >>> 0);
    expect(io.read(CONFIG_PORTS + 4, 4)).toBe(0x5678_1234);
    expect(io.read(CONFIG_PORTS + 6, 2)).toBe(0x5678);
    expect(memory.read(ECAM_BASE + (slot << 15), 4)).toBe(0x5678_1234);
    expect(memory.read(ECAM_BASE + ((slot + 1) << 15), 2)).toBe(0xffff);
    expect(memory.read(ECAM_BASE + (slot << 15) + 0x200, 4)).toBe(0xffff_ffff);
    io.write(CONFIG_PORTS, 4, 0x8001_0000);
    expect(io.read(CONFIG_PORTS + 4, 4)).toBe(0xffff_ffff);
  });

  it('refuses a slot that is taken or does not exist', () => {
    const { bus } = plugged();
    const error = (code: string) => expect.objectContaining({ code });
    expect(() => bus.plug(new PciFunction(identity), 9)).toThrowError(error('machine.slot-taken'));
    expect(() => bus.plug(new PciFunction(identity), 32)).toThrowError(error('machine.no-slot'));
  });
});

describe('PCI 3.0, section 6.8.2: MSI-X', () => {
  function msix() {
    const sent: number[][] = [];
    const table = new Msix('msix', 3, (...message) => void sent.push(message));
    const fill = (vector: number, control: number): void => {
      table.write(vector * 16, 4, 0xfee0_0000);
      table.write(vector * 16 + 8, 4, 0x40 + vector);
      table.write(vector * 16 + 12, 4, control);
    };
    return { table, sent, fill };
  }

  it('sends nothing while it is off, and keeps what comes while masked until it is unmasked', () => {
    const { table, sent, fill } = msix();
    fill(1, 0);
    table.notify(1);
    expect(sent).toEqual([]);
    table.control(true, true);
    table.notify(1);
    table.notify(1);
    expect(table.read(PBA_OFFSET, 4)).toBe(2);
    table.control(true, false);
    expect(sent).toEqual([[1, 0xfee0_0000, 0x41]]);
    expect(table.read(PBA_OFFSET, 4)).toBe(0);
    fill(1, 1);
    table.notify(1);
    expect(sent).toHaveLength(1);
    fill(1, 0);
    expect(sent).toHaveLength(2);
    expect(table.counts[1]).toBe(2);
  });

  it('hostile inputs, devices, line 15: vectors and offsets past the table do nothing', () => {
    const { table, sent } = msix();
    table.control(true, false);
    table.notify(3);
    table.notify(0xffff);
    table.write(3 * 16, 4, 1);
    table.write(PBA_OFFSET, 4, 0xffff_ffff);
    expect(table.read(PBA_OFFSET, 4)).toBe(0);
    expect(table.read(0xffc, 4)).toBe(0);
    expect(sent).toEqual([]);
  });
});
