/** What the tests of the IDE controllers drive: a PC with a disk and a CD-ROM, and a controller of AHCI, over disks in memory. */
import type { BlockNode } from '../../block/node.ts';
import { AddressSpace } from '../../machine/address-space.ts';
import { HostIo } from '../../machine/host-io.ts';
import { createMemory, type GuestMemory } from '../../machine/memory.ts';
import { PciRoot } from '../../machine/pci/root.ts';
import { TraceRing } from '../../trace/ring.ts';
import { arrayNode } from '../../virtio/testing/rig.ts';
import { Ahci, AHCI_BAR } from '../ahci/hba.ts';
import { FIS, FIS_COMMAND, HEADER, PORT, PORT_BYTES, PORTS_AT, PXCMD, TABLE } from '../ahci/registers.ts';
import { PRD_END } from '../bus-master.ts';
import { BM_BAR, LEGACY, PiixIde } from '../piix.ts';

export const DISK_BYTES = 1024 * 1024;
export const DISC_BYTES = 256 * 1024;
/** Guest physical addresses: the PRD table, the data, AHCI's list, FIS area and command table. */
export const AT = {
  table: 0x1_0000,
  data: 0x20_0000,
  list: 0x30_0000,
  received: 0x31_0000,
  command: 0x32_0000,
} as const;
export const BUS_MASTER = 0xc000;
export const REGISTERS = 0xe000_0000;
const MEMORY_BYTES = 4 * 1024 * 1024;

export interface LateNode extends BlockNode {
  disk: Uint8Array;
  /** Transfers that wait for `release`. */
  release(): Promise<void>;
}

/** A disk that answers when it is told to. */
export function lateNode(bytes: number): LateNode {
  const inner = arrayNode(bytes);
  let waiting: (() => void)[] = [];
  const later = (work: () => void): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(() => {
        work();
        resolve();
      });
    });
  return {
    ...inner,
    disk: inner.disk,
    read: (offset, target) => later(() => void inner.read(offset, target)),
    write: (offset, source) => later(() => void inner.write(offset, source)),
    release: async () => {
      const now = waiting;
      waiting = [];
      for (const answer of now) answer();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

export class IdeRig {
  readonly memory: GuestMemory;
  readonly io = new AddressSpace();
  readonly space = new AddressSpace();
  readonly device: PiixIde;
  readonly lines: string[] = [];

  constructor(disk: BlockNode, disc: BlockNode = arrayNode(DISC_BYTES, true)) {
    this.memory = createMemory(MEMORY_BYTES);
    const trace = new TraceRing({ capacity: 1024 });
    this.device = new PiixIde({
      name: 'ide',
      memory: this.memory,
      trace,
      host: new HostIo(trace),
      interrupts: { isa: (irq, level) => void this.lines.push(`${irq} ${level ? 'up' : 'down'}`) },
      io: this.io,
      drives: [{ kind: 'hd', node: disk, unmap: true }, undefined, { kind: 'cd', node: disc }],
    });
    new PciRoot(this.space, this.io).plug(this.device.pci, 1, 1);
    this.device.pci.write(0x10 + BM_BAR * 4, 4, BUS_MASTER);
    this.device.pci.write(4, 2, 5);
  }

  out(channel: 0 | 1, register: number, value: number, size: 1 | 2 | 4 = 1): void {
    this.io.write(LEGACY[channel].command + register, size, value);
    this.device.process();
  }
  in(channel: 0 | 1, register: number, size: 1 | 2 | 4 = 1): number {
    const value = this.io.read(LEGACY[channel].command + register, size);
    this.device.process();
    return value;
  }
  control(channel: 0 | 1, value: number): void {
    this.io.write(LEGACY[channel].control, 1, value);
    this.device.process();
  }
  master(channel: 0 | 1, register: number, value: number, size: 1 | 4 = 1): void {
    this.io.write(BUS_MASTER + channel * 8 + register, size, value);
    this.device.process();
  }
  status(channel: 0 | 1): number {
    return this.io.read(LEGACY[channel].control, 1);
  }

  /** Writes the task file and the command. */
  command(channel: 0 | 1, code: number, device: number, count: number, lba: number): void {
    const bytes = [device, count, lba & 0xff, (lba >> 8) & 0xff, (lba >> 16) & 0xff];
    [6, 2, 3, 4, 5].forEach((register, i) => this.out(channel, register, bytes[i]));
    this.out(channel, 7, code);
  }

  /** A table of PRDs, each of address and raw size. */
  table(channel: 0 | 1, ...prds: [number, number][]): void {
    prds.forEach(([address, size], i) => {
      this.memory.writeUint(AT.table + i * 8, 4, address);
      const end = i === prds.length - 1 ? PRD_END : 0;
      this.memory.writeUint(AT.table + i * 8 + 4, 4, (size | end) >>> 0);
    });
    this.master(channel, 4, AT.table, 4);
  }

  packet(bytes: readonly number[], limit: number, feature = 0): void {
    this.out(1, 1, feature);
    this.command(1, 0xa0, 0xa0, 0, limit << 8);
    for (let i = 0; i < 12; i += 2) this.out(1, 0, (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8), 2);
  }
}

export class AhciRig {
  readonly memory: GuestMemory;
  readonly space = new AddressSpace();
  readonly device: Ahci;
  readonly lines: boolean[] = [];

  constructor(disk: BlockNode) {
    this.memory = createMemory(MEMORY_BYTES);
    const trace = new TraceRing({ capacity: 1024 });
    this.device = new Ahci({
      name: 'ahci',
      memory: this.memory,
      trace,
      host: new HostIo(trace),
      interrupts: { message: () => undefined, line: (_slot, _pin, level) => void this.lines.push(level) },
      drives: [{ kind: 'hd', node: disk }],
    });
    new PciRoot(this.space, new AddressSpace()).plug(this.device.pci, 4);
    this.device.pci.write(0x10 + AHCI_BAR * 4, 4, REGISTERS);
    this.device.pci.write(4, 2, 6);
  }

  read(offset: number): number {
    return this.space.read(REGISTERS + offset, 4);
  }
  write(offset: number, value: number): void {
    this.space.write(REGISTERS + offset, 4, value);
    this.device.process();
  }
  port(offset: number): number {
    return this.read(PORTS_AT + offset);
  }
  setPort(offset: number, value: number, port = 0): void {
    this.write(PORTS_AT + port * PORT_BYTES + offset, value);
  }

  start(list: number = AT.list, received: number = AT.received): void {
    this.setPort(PORT.clb, list);
    this.setPort(PORT.fb, received);
    this.setPort(PORT.ie, 0xffff_ffff);
    this.write(4, 0x8000_0002);
    this.setPort(PORT.cmd, PXCMD.fisReceive | PXCMD.start);
  }

  /** A command in slot 0 with PRDs of address and bytes, issued at once. */
  command(fis: readonly number[], prds: readonly [number, number][], prdtl = prds.length): void {
    this.memory.write(AT.command, Uint8Array.of(FIS.hostToDevice, FIS_COMMAND, ...fis));
    prds.forEach(([address, bytes], i) => {
      const prd = AT.command + TABLE.prdt + i * TABLE.prdBytes;
      this.memory.writeUint(prd, 4, address);
      this.memory.writeUint(prd + 12, 4, bytes - 1);
    });
    this.memory.writeUint(AT.list, 4, ((prdtl << 16) | 5) >>> 0);
    this.memory.writeUint(AT.list + HEADER.table, 4, AT.command);
    this.setPort(PORT.ci, 1);
  }
}
