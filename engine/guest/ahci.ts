/**
 * The guest's AHCI driver, as Linux's ahci over libata (drivers/ata/libahci.c): up to 32 queued commands in memory, and two registers
 * to write for each.
 */
import { PlatterError } from '../errors.ts';
import {
  FIS,
  FIS_COMMAND,
  GHC,
  HBA,
  HEADER,
  LIST_BYTES,
  PORT,
  PORT_BYTES,
  PORTS_AT,
  PXCMD,
  PXIS,
  RECEIVED,
  SLOTS,
  TABLE,
} from '../ide/ahci/registers.ts';
import { MSI_AT } from '../ide/ahci/hba.ts';
import { CMD, DEVICE, SECTOR, STATUS } from '../ide/ata.ts';
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { GuestAllocator } from './allocator.ts';
import {
  EIO,
  MAX_SECTORS,
  parseIdentity,
  segmentsOf,
  taskOf,
  type AtaIdentity,
  type Segment,
} from './ata.ts';
import { discBytes, isAttention, MOST_TRIES, PACKETS, readPacket, SENSE_BYTES, senseOf } from './atapi.ts';
import type { BlockRequest } from './block-request.ts';
import type { GuestBus } from './bus.ts';
import type { DriverCpu, DriverLimits } from './driver.ts';
import { GeneratorDriver } from './generator-driver.ts';
import type { RegisterAccess, Steps } from './register-access.ts';

/** `AHCI_MAX_SG` of Linux. */
const MAX_PRDS = 168;
const TABLE_BYTES = 4096;
const RUNNING = PXCMD.fisReceive | PXCMD.spinUp | PXCMD.powerOn | PXCMD.start;
/** What the driver wants to hear of: FISes of registers, of PIO and of device bits, and everything fatal. */
const WANTED = 0x7d40_000b;
const FAILED = (1 << PXIS.taskFileError) | (1 << PXIS.hostBusFatal) | (1 << PXIS.overflow);
/** Words of a FIS in the command header. */
const FIS_WORDS = 5;
const ULTRA_DMA_5 = 0x45;
const APIC = 0xfee0_0000;
const MSI_ENABLE = 1;
const PATIENCE = 10_000;
/** Device signatures, as PxSIG shows them. */
const SIGNATURE = { disk: 0x101, packet: 0xeb14_0101 } as const;
const CAPACITY_BYTES = 8;
/** The slot of REQUEST SENSE: the only other one is the first. */
const SENSE_SLOT = 1;
const SENSE_BIT = 1 << SENSE_SLOT;

export interface AhciDriverOptions {
  bus: GuestBus;
  memory: GuestMemory;
  allocator: GuestAllocator;
  trace: TraceRing;
  settle: () => void;
  /** Where the guest finds the function: its slot counted over all buses, and its number there. */
  slot: number;
  function: number;
  /** Where firmware put the registers. */
  registers: number;
  /** The ports with the disks to use. */
  ports: readonly number[];
  /** The vector of its message on the first CPU's local APIC. */
  vector: number;
  /** Tells the device on whose behalf a slot's command is, so that its events carry the request. */
  onSlot: (port: number, slot: number, requestId: number) => void;
}

/** What the driver keeps of a port; each has a hardware queue of its own. */
class Port {
  readonly number: number;
  /** Where its registers are, and what it works with in memory. */
  readonly registers: number;
  readonly list: number;
  readonly received: number;
  readonly tables: number;
  identity!: AtaIdentity;
  /** A CD-ROM drive: everything but the probe goes through packets. */
  packets = false;
  /** Bytes of the disk or the disc; 0 without one. */
  capacity = 0;
  /** Where a packet's answer of a few bytes goes. */
  answer = 0;
  /** Commands that it may have at a time. */
  depth = 1;
  readonly requests: (BlockRequest | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  inFlight = 0;
  /** The commands under way are queued ones. */
  queued = false;
  /** What an error of another command has ended, to be done again one by one. */
  readonly again: BlockRequest[] = [];

  constructor(number: number, { registers, allocator }: AhciDriverOptions) {
    this.number = number;
    this.registers = registers + PORTS_AT + number * PORT_BYTES;
    this.list = allocator.take(LIST_BYTES);
    this.received = allocator.take(RECEIVED.bytes);
    this.tables = allocator.take(SLOTS * TABLE_BYTES);
  }

  answerOf(bytes: number): Segment[] {
    return bytes === 0 ? [] : [{ address: this.answer, bytes }];
  }

  /** Queued commands do not mix with others (`ata_std_qc_defer`). */
  hasRoom(request: BlockRequest): boolean {
    if (this.inFlight === 0) return this.again.length === 0;
    return this.queued && this.canQueue(request) && this.inFlight < this.depth;
  }
  canQueue({ op }: BlockRequest): boolean {
    return op !== OP.flush && this.depth > 1;
  }
}

export class AhciDriver extends GeneratorDriver {
  readonly name = 'ahci';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: MAX_PRDS, queues: 1, depth: 1 };
  readonly #o: AhciDriverOptions;
  /** By the number of the disk at the driver. */
  readonly #ports: readonly Port[];

  constructor(options: AhciDriverOptions) {
    super();
    this.#o = options;
    this.#ports = options.ports.map((number) => new Port(number, options));
    this.limits.queues = this.#ports.length;
  }

  /** Every port is a SCSI host of its own for libata, with queues of its own. */
  override queueOf(_cpu: number, unit: number): number {
    return unit;
  }
  handles({ gsi, vector }: PendingInterrupt, cpu: number): boolean {
    return gsi === undefined && cpu === 0 && vector === this.#o.vector;
  }

  // ---- probe ----

  /** Reset of the controller, the ports, IDENTIFY, the transfer mode, interrupts by message. */
  protected find(): void {
    const { bus, registers, slot, vector } = this.#o;
    const number = this.#o.function;
    bus.write(registers + HBA.ghc, 4, GHC.ahci | GHC.reset);
    for (const at of [HBA.cap, HBA.pi, HBA.vs]) bus.read(registers + at, 4);
    for (const port of this.#ports) this.#findDrive(port);
    bus.configWrite(slot, MSI_AT + 4, 4, APIC, number);
    bus.configWrite(slot, MSI_AT + 8, 4, 0, number);
    bus.configWrite(slot, MSI_AT + 12, 2, vector, number);
    bus.configWrite(slot, MSI_AT + 2, 2, MSI_ENABLE, number);
    for (const port of this.#ports) bus.write(port.registers + PORT.ie, 4, WANTED);
    bus.write(registers + HBA.ghc, 4, (GHC.ahci | GHC.interrupts) >>> 0);
    this.limits.depth = Math.max(...this.#ports.map(({ depth }) => depth));
  }

  #findDrive(port: Port): void {
    const { bus } = this.#o;
    const { registers } = port;
    bus.write(registers + PORT.clb, 4, port.list);
    bus.write(registers + PORT.clbu, 4, 0);
    bus.write(registers + PORT.fb, 4, port.received);
    bus.write(registers + PORT.fbu, 4, 0);
    for (const value of [RUNNING & ~PXCMD.start, RUNNING]) bus.write(registers + PORT.cmd, 4, value);
    for (const value of [0x301, 0x300]) bus.write(registers + PORT.sctl, 4, value);
    const present = (bus.read(registers + PORT.ssts, 4) & 15) === 3;
    const signature = bus.read(registers + PORT.sig, 4);
    port.packets = signature === SIGNATURE.packet;
    if (!present || (signature !== SIGNATURE.disk && !port.packets)) {
      const value = `ata${port.number + 1}`;
      throw new PlatterError('guest.no-ata', `there is no ATA disk at ${value}`, { field: 'PxSIG', value });
    }
    bus.write(registers + PORT.serr, 4, bus.read(registers + PORT.serr, 4));
    const page = this.#o.allocator.take(SECTOR);
    port.answer = page;
    const identify = port.packets ? CMD.identifyPacket : CMD.identify;
    this.#polled(port, identify, 0, 0, [{ address: page, bytes: SECTOR }]);
    const bytes = new Uint8Array(SECTOR);
    this.#o.memory.read(page, bytes);
    port.identity = parseIdentity(bytes);
    port.capacity = port.packets ? this.#disc(port) : port.identity.sectors * SECTOR;
    port.depth = port.packets ? 1 : Math.max(1, Math.min(SLOTS, port.identity.queue));
    this.#polled(port, CMD.setFeatures, 3, ULTRA_DMA_5, []);
    bus.write(registers + PORT.is, 4, 0xffff_ffff);
  }

  /** Bytes of the disc, once the drive has told of what happened to it; 0 without one. */
  #disc(port: Port): number {
    for (let tries = 0; tries < MOST_TRIES && !this.#polledPacket(port, PACKETS.testUnitReady, 0); tries++)
      this.#polledPacket(port, PACKETS.requestSense, SENSE_BYTES);
    if (!this.#polledPacket(port, PACKETS.readCapacity, CAPACITY_BYTES)) return 0;
    const bytes = new Uint8Array(CAPACITY_BYTES);
    this.#o.memory.read(port.answer, bytes);
    return discBytes(bytes);
  }

  /** A packet in slot 0 while nothing else happens; whether it went well. */
  #polledPacket(port: Port, packet: Uint8Array, into: number): boolean {
    const { bus } = this.#o;
    this.#fill(port, 0, PACKET_FIS, port.answerOf(into), false, packet);
    bus.write(port.registers + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#o.settle();
      const failed = (bus.read(port.registers + PORT.is, 4) & FAILED) !== 0;
      const over = (bus.read(port.registers + PORT.ci, 4) & 1) === 0;
      if (failed)
        for (const value of [RUNNING & ~PXCMD.start, RUNNING]) bus.write(port.registers + PORT.cmd, 4, value);
      if (over || failed) {
        bus.write(port.registers + PORT.is, 4, 0xffff_ffff);
        return !failed;
      }
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }

  /** A command in slot 0 while nothing else happens. */
  #polled(port: Port, command: number, feature: number, count: number, segments: readonly Segment[]): void {
    const { bus } = this.#o;
    const fis = [
      FIS.hostToDevice,
      FIS_COMMAND,
      command,
      feature,
      0,
      0,
      0,
      DEVICE.obsolete,
      0,
      0,
      0,
      0,
      count,
    ];
    this.#fill(port, 0, fis, segments, false);
    bus.write(port.registers + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#o.settle();
      if ((bus.read(port.registers + PORT.ci, 4) & 1) === 0) return;
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }

  /** Command header and command table of a slot; answers the number of PRDs. */
  #fill(
    port: Port,
    slot: number,
    fis: readonly number[],
    segments: readonly Segment[],
    write: boolean,
    packet?: Uint8Array,
  ): number {
    const { memory } = this.#o;
    const table = port.tables + slot * TABLE_BYTES;
    const bytes = new Uint8Array(TABLE.prdt + segments.length * TABLE.prdBytes);
    const view = new DataView(bytes.buffer);
    bytes.set(fis);
    if (packet !== undefined) bytes.set(packet, TABLE.packet);
    segments.forEach((segment, i) => {
      view.setUint32(TABLE.prdt + i * TABLE.prdBytes, segment.address >>> 0, true);
      view.setUint32(TABLE.prdt + i * TABLE.prdBytes + 4, highWord(segment.address), true);
      view.setUint32(TABLE.prdt + i * TABLE.prdBytes + 12, segment.bytes - 1, true);
    });
    memory.write(table, bytes);
    const header = port.list + slot * HEADER.bytes;
    const flags = (write ? HEADER.write : 0) | (packet === undefined ? 0 : HEADER.atapi);
    memory.writeUint(header, 4, ((segments.length << 16) | FIS_WORDS | flags) >>> 0);
    memory.writeUint(header + HEADER.moved, 4, 0);
    memory.writeUint(header + HEADER.table, 4, table >>> 0);
    memory.writeUint(header + HEADER.table + 4, 4, highWord(table));
    return segments.length;
  }

  // ---- down ----

  hasRoom(queue: number, request: BlockRequest): boolean {
    return this.#ports[queue].hasRoom(request);
  }

  *submitSteps({ access }: DriverCpu, queue: number, request: BlockRequest): Steps {
    const port = this.#ports[queue];
    yield* this.#issue(access, port, request, port.canQueue(request));
  }

  *#issue(access: RegisterAccess, port: Port, request: BlockRequest, queued: boolean): Steps {
    const { trace, onSlot } = this.#o;
    const { requestId, op, sector } = request;
    const slot = port.requests.indexOf(undefined);
    port.requests[slot] = request;
    port.inFlight++;
    port.queued = queued;
    onSlot(port.number, slot, requestId);
    const packet = port.packets ? readPacket(sector, request.sectors) : undefined;
    const fis = queued
      ? queuedFis(request, slot)
      : packet === undefined
        ? plainFis(request, port.identity)
        : PACKET_FIS;
    trace.emit(E.ata_qc_issue, requestId, slot, fis[2], sector >>> 0, highWord(sector));
    yield;
    const segments = op === OP.flush ? [] : segmentsOf(request);
    const prds = this.#fill(port, slot, fis, segments, op === OP.write, packet);
    if (packet !== undefined) {
      trace.emit(E.atapi_send_cdb, requestId, port.number, packet[0], 0, 0);
      yield;
    }
    const table = port.tables + slot * TABLE_BYTES;
    trace.emit(E.ahci_fill_cmd_slot, requestId, slot, prds, table >>> 0, highWord(table));
    yield;
    const bit = (1 << slot) >>> 0;
    if (queued) yield* access.write(port.registers + PORT.sact, 4, bit, requestId);
    yield* access.write(port.registers + PORT.ci, 4, bit, requestId);
  }

  // ---- up ----

  /** `ahci_single_level_irq_intr`: one message tells of all ports. */
  *interruptSteps(cpu: DriverCpu, irq: PendingInterrupt): Steps {
    const { registers, vector } = this.#o;
    if (irq.gsi === undefined && irq.vector !== vector) return;
    const { access } = cpu;
    const { requestId } = irq;
    const pending = yield* access.read(registers + HBA.is, 4, requestId);
    const ports = this.#ports.filter(({ number }) => (pending & (1 << number)) !== 0);
    if (ports.length === 0) return;
    for (const port of ports) yield* this.#portInterrupt(cpu, port, requestId);
    yield* access.write(registers + HBA.is, 4, pending, requestId);
    for (const port of ports) {
      const next = port.inFlight === 0 ? port.again.shift() : undefined;
      if (next !== undefined) yield* this.#issue(access, port, next, false);
    }
  }

  *#portInterrupt(cpu: DriverCpu, port: Port, requestId: number): Steps {
    const { access } = cpu;
    const { number, registers } = port;
    const status = yield* access.read(registers + PORT.is, 4, requestId);
    this.#o.trace.emit(E.ahci_port_intr, requestId, number, status, 0, 0);
    yield;
    yield* access.write(registers + PORT.is, 4, status, requestId);
    const active = yield* access.read(registers + (port.queued ? PORT.sact : PORT.ci), 4, requestId);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (port.requests[slot] === undefined || (active & (1 << slot)) !== 0) continue;
      yield* this.#end(cpu, port, slot, false);
    }
    if ((status & FAILED) !== 0) yield* this.#recover(cpu, port);
  }

  *#end(cpu: DriverCpu, port: Port, slot: number, failed: boolean): Steps {
    const request = port.requests[slot];
    if (request === undefined) return;
    const { trace, onSlot } = this.#o;
    const [status, error] = failed ? [STATUS.drdy | STATUS.err, 4] : [STATUS.drdy | STATUS.dsc, 0];
    trace.emit(E.ata_qc_complete_done, request.requestId, port.number, slot, status, error);
    yield;
    port.requests[slot] = undefined;
    port.inFlight--;
    onSlot(port.number, slot, 0);
    request.error = failed ? EIO : 0;
    cpu.complete(request);
  }

  /**
   * Section 6.2.2 of AHCI: the port is stopped and started. A command alone has failed; of queued ones nobody says which, so all of
   * them are done again, one by one.
   */
  *#recover(cpu: DriverCpu, port: Port): Steps {
    const { access } = cpu;
    for (const value of [RUNNING & ~PXCMD.start, RUNNING])
      yield* access.write(port.registers + PORT.cmd, 4, value);
    if (port.packets) {
      yield* this.#recoverPacket(cpu, port);
      return;
    }
    // The drive takes no command while its error stands: COMRESET clears it.
    for (const value of [0x301, 0x300]) yield* access.write(port.registers + PORT.sctl, 4, value);
    for (let slot = 0; slot < SLOTS; slot++) {
      const request = port.requests[slot];
      if (request === undefined) continue;
      if (!port.queued) {
        yield* this.#end(cpu, port, slot, true);
        continue;
      }
      port.requests[slot] = undefined;
      port.inFlight--;
      port.again.push(request);
    }
  }

  /** What the drive says of a packet that failed: a unit attention is told once, and the command sent again. */
  *#recoverPacket(cpu: DriverCpu, port: Port): Steps {
    const { access } = cpu;
    const { memory } = this.#o;
    const slot = port.requests.findIndex((each) => each !== undefined);
    const request = port.requests[slot];
    if (request === undefined) return;
    this.#fill(port, SENSE_SLOT, PACKET_FIS, port.answerOf(SENSE_BYTES), false, PACKETS.requestSense);
    this.#o.trace.emit(E.atapi_send_cdb, request.requestId, port.number, PACKETS.requestSense[0], 0, 0);
    yield;
    yield* access.write(port.registers + PORT.ci, 4, SENSE_BIT, request.requestId);
    for (let look = 0; look < PATIENCE; look++)
      if (((yield* access.read(port.registers + PORT.ci, 4, request.requestId)) & SENSE_BIT) === 0) break;
    yield* access.write(port.registers + PORT.is, 4, 0xffff_ffff, request.requestId);
    const bytes = new Uint8Array(SENSE_BYTES);
    memory.read(port.answer, bytes);
    if (!isAttention(senseOf(bytes)) || ++request.retries > MOST_TRIES) {
      yield* this.#end(cpu, port, slot, true);
      return;
    }
    port.requests[slot] = undefined;
    port.inFlight--;
    port.again.push(request);
  }
}

/** PACKET by DMA; the packet itself lies in the command table. */
const PACKET_FIS: readonly number[] = [
  FIS.hostToDevice,
  FIS_COMMAND,
  CMD.packet,
  1,
  0,
  0,
  0,
  DEVICE.obsolete,
];

/** READ or WRITE FPDMA QUEUED (Serial ATA 3.2, section 13.6.4): the count lies in the features, the tag in the count. */
function queuedFis({ op, sector, sectors }: BlockRequest, tag: number): number[] {
  const command = op === OP.read ? CMD.readFpdmaQueued : CMD.writeFpdmaQueued;
  const [low, high] = lbaBytes(sector);
  return [
    FIS.hostToDevice,
    FIS_COMMAND,
    command,
    sectors & 0xff,
    ...low,
    DEVICE.lba,
    ...high,
    sectors >> 8,
    tag << 3,
    0,
  ];
}

function plainFis(request: BlockRequest, identity: AtaIdentity): number[] {
  const task = taskOf(request, identity, true, false);
  const [low, high] = lbaBytes(task.sector);
  const upper = task.ext ? high : [0, 0, 0];
  const count = [task.count & 0xff, task.ext ? task.count >> 8 : 0];
  return [FIS.hostToDevice, FIS_COMMAND, task.command, 0, ...low, task.device, ...upper, 0, ...count];
}

/** The lower and the upper three bytes. */
function lbaBytes(sector: number): [number[], number[]] {
  const byte = (shift: number): number => Math.floor(sector / 2 ** shift) & 0xff;
  return [
    [byte(0), byte(8), byte(16)],
    [byte(24), byte(32), byte(40)],
  ];
}
