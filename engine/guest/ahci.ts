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
/** The vector of its message on the first CPU's local APIC. */
const VECTOR = 0x31;
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
  port: number;
  /** Tells the device on whose behalf a slot's command is, so that its events carry the request. */
  onSlot: (slot: number, requestId: number) => void;
}

export class AhciDriver extends GeneratorDriver {
  readonly name = 'ahci';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: MAX_PRDS, queues: 1, depth: 1 };
  capacity = 0;
  identity!: AtaIdentity;
  /** A CD-ROM drive: everything but the probe goes through packets. */
  #packets = false;
  /** Where a packet's answer of a few bytes goes. */
  #answer = 0;
  readonly #o: AhciDriverOptions;
  readonly #port: number;
  readonly #list: number;
  readonly #received: number;
  readonly #tables: number;
  readonly #requests: (BlockRequest | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  #inFlight = 0;
  /** The commands under way are queued ones. */
  #queued = false;
  /** What an error of another command has ended, to be done again one by one. */
  readonly #again: BlockRequest[] = [];

  constructor(options: AhciDriverOptions) {
    super();
    this.#o = options;
    this.#port = options.registers + PORTS_AT + options.port * PORT_BYTES;
    this.#list = options.allocator.take(LIST_BYTES);
    this.#received = options.allocator.take(RECEIVED.bytes);
    this.#tables = options.allocator.take(SLOTS * TABLE_BYTES);
  }

  // ---- probe ----

  /** Reset of the controller, one port, IDENTIFY, the transfer mode, interrupts by message. */
  protected find(): void {
    const { bus, registers, slot, port } = this.#o;
    const number = this.#o.function;
    bus.write(registers + HBA.ghc, 4, GHC.ahci | GHC.reset);
    for (const at of [HBA.cap, HBA.pi, HBA.vs]) bus.read(registers + at, 4);
    bus.write(this.#port + PORT.clb, 4, this.#list);
    bus.write(this.#port + PORT.clbu, 4, 0);
    bus.write(this.#port + PORT.fb, 4, this.#received);
    bus.write(this.#port + PORT.fbu, 4, 0);
    for (const value of [RUNNING & ~PXCMD.start, RUNNING]) bus.write(this.#port + PORT.cmd, 4, value);
    for (const value of [0x301, 0x300]) bus.write(this.#port + PORT.sctl, 4, value);
    const present = (bus.read(this.#port + PORT.ssts, 4) & 15) === 3;
    const signature = bus.read(this.#port + PORT.sig, 4);
    this.#packets = signature === SIGNATURE.packet;
    if (!present || (signature !== SIGNATURE.disk && !this.#packets)) {
      const value = `ata${port + 1}`;
      throw new PlatterError('guest.no-ata', `there is no ATA disk at ${value}`, { field: 'PxSIG', value });
    }
    bus.write(this.#port + PORT.serr, 4, bus.read(this.#port + PORT.serr, 4));
    const page = this.#o.allocator.take(SECTOR);
    this.#answer = page;
    this.#polled(this.#packets ? CMD.identifyPacket : CMD.identify, 0, 0, [{ address: page, bytes: SECTOR }]);
    const bytes = new Uint8Array(SECTOR);
    this.#o.memory.read(page, bytes);
    this.identity = parseIdentity(bytes);
    this.capacity = this.#packets ? this.#disc() : this.identity.sectors * SECTOR;
    this.limits.depth = this.#packets ? 1 : Math.max(1, Math.min(SLOTS, this.identity.queue));
    this.#polled(CMD.setFeatures, 3, ULTRA_DMA_5, []);
    bus.write(this.#port + PORT.is, 4, 0xffff_ffff);
    bus.configWrite(slot, MSI_AT + 4, 4, APIC, number);
    bus.configWrite(slot, MSI_AT + 8, 4, 0, number);
    bus.configWrite(slot, MSI_AT + 12, 2, VECTOR, number);
    bus.configWrite(slot, MSI_AT + 2, 2, MSI_ENABLE, number);
    bus.write(this.#port + PORT.ie, 4, WANTED);
    bus.write(registers + HBA.ghc, 4, (GHC.ahci | GHC.interrupts) >>> 0);
  }

  /** Bytes of the disc, once the drive has told of what happened to it; 0 without one. */
  #disc(): number {
    for (let tries = 0; tries < MOST_TRIES && !this.#polledPacket(PACKETS.testUnitReady, 0); tries++)
      this.#polledPacket(PACKETS.requestSense, SENSE_BYTES);
    if (!this.#polledPacket(PACKETS.readCapacity, CAPACITY_BYTES)) return 0;
    const bytes = new Uint8Array(CAPACITY_BYTES);
    this.#o.memory.read(this.#answer, bytes);
    return discBytes(bytes);
  }

  /** A packet in slot 0 while nothing else happens; whether it went well. */
  #polledPacket(packet: Uint8Array, into: number): boolean {
    const { bus } = this.#o;
    this.#fill(0, PACKET_FIS, this.#answerOf(into), false, packet);
    bus.write(this.#port + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#o.settle();
      const failed = (bus.read(this.#port + PORT.is, 4) & FAILED) !== 0;
      const over = (bus.read(this.#port + PORT.ci, 4) & 1) === 0;
      if (failed)
        for (const value of [RUNNING & ~PXCMD.start, RUNNING]) bus.write(this.#port + PORT.cmd, 4, value);
      if (over || failed) {
        bus.write(this.#port + PORT.is, 4, 0xffff_ffff);
        return !failed;
      }
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }

  #answerOf(bytes: number): Segment[] {
    return bytes === 0 ? [] : [{ address: this.#answer, bytes }];
  }

  /** A command in slot 0 while nothing else happens. */
  #polled(command: number, feature: number, count: number, segments: readonly Segment[]): void {
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
    this.#fill(0, fis, segments, false);
    bus.write(this.#port + PORT.ci, 4, 1);
    for (let look = 0; look < PATIENCE; look++) {
      this.#o.settle();
      if ((bus.read(this.#port + PORT.ci, 4) & 1) === 0) return;
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not answer');
  }

  /** Command header and command table of a slot; answers the number of PRDs. */
  #fill(
    slot: number,
    fis: readonly number[],
    segments: readonly Segment[],
    write: boolean,
    packet?: Uint8Array,
  ): number {
    const { memory } = this.#o;
    const table = this.#tables + slot * TABLE_BYTES;
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
    const header = this.#list + slot * HEADER.bytes;
    const flags = (write ? HEADER.write : 0) | (packet === undefined ? 0 : HEADER.atapi);
    memory.writeUint(header, 4, ((segments.length << 16) | FIS_WORDS | flags) >>> 0);
    memory.writeUint(header + HEADER.moved, 4, 0);
    memory.writeUint(header + HEADER.table, 4, table >>> 0);
    memory.writeUint(header + HEADER.table + 4, 4, highWord(table));
    return segments.length;
  }

  // ---- down ----

  /** Queued commands do not mix with others (`ata_std_qc_defer`). */
  hasRoom(_queue: number, request: BlockRequest): boolean {
    if (this.#inFlight === 0) return this.#again.length === 0;
    return this.#queued && this.#canQueue(request) && this.#inFlight < this.limits.depth;
  }

  #canQueue({ op }: BlockRequest): boolean {
    return op !== OP.flush && this.limits.depth > 1;
  }

  *submitSteps({ access }: DriverCpu, _queue: number, request: BlockRequest): Steps {
    yield* this.#issue(access, request, this.#canQueue(request));
  }

  *#issue(access: RegisterAccess, request: BlockRequest, queued: boolean): Steps {
    const { trace, onSlot } = this.#o;
    const { requestId, op, sector } = request;
    const slot = this.#requests.indexOf(undefined);
    this.#requests[slot] = request;
    this.#inFlight++;
    this.#queued = queued;
    onSlot(slot, requestId);
    const packet = this.#packets ? readPacket(sector, request.sectors) : undefined;
    const fis = queued
      ? queuedFis(request, slot)
      : packet === undefined
        ? plainFis(request, this.identity)
        : PACKET_FIS;
    trace.emit(E.ata_qc_issue, requestId, slot, fis[2], sector >>> 0, highWord(sector));
    yield;
    const segments = op === OP.flush ? [] : segmentsOf(request);
    const prds = this.#fill(slot, fis, segments, op === OP.write, packet);
    if (packet !== undefined) {
      trace.emit(E.atapi_send_cdb, requestId, this.#o.port, packet[0], 0, 0);
      yield;
    }
    const table = this.#tables + slot * TABLE_BYTES;
    trace.emit(E.ahci_fill_cmd_slot, requestId, slot, prds, table >>> 0, highWord(table));
    yield;
    const bit = (1 << slot) >>> 0;
    if (queued) yield* access.write(this.#port + PORT.sact, 4, bit, requestId);
    yield* access.write(this.#port + PORT.ci, 4, bit, requestId);
  }

  // ---- up ----

  *interruptSteps(cpu: DriverCpu, irq: PendingInterrupt): Steps {
    if (irq.gsi === undefined && irq.vector !== VECTOR) return;
    const { access } = cpu;
    const { registers, trace, port } = this.#o;
    const { requestId } = irq;
    const pending = yield* access.read(registers + HBA.is, 4, requestId);
    if ((pending & (1 << port)) === 0) return;
    const status = yield* access.read(this.#port + PORT.is, 4, requestId);
    trace.emit(E.ahci_port_intr, requestId, port, status, 0, 0);
    yield;
    yield* access.write(this.#port + PORT.is, 4, status, requestId);
    const active = yield* access.read(this.#port + (this.#queued ? PORT.sact : PORT.ci), 4, requestId);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#requests[slot] === undefined || (active & (1 << slot)) !== 0) continue;
      yield* this.#end(cpu, slot, false);
    }
    if ((status & FAILED) !== 0) yield* this.#recover(cpu);
    yield* access.write(registers + HBA.is, 4, pending, requestId);
    const next = this.#inFlight === 0 ? this.#again.shift() : undefined;
    if (next !== undefined) yield* this.#issue(access, next, false);
  }

  *#end(cpu: DriverCpu, slot: number, failed: boolean): Steps {
    const request = this.#requests[slot];
    if (request === undefined) return;
    const { trace, port, onSlot } = this.#o;
    const [status, error] = failed ? [STATUS.drdy | STATUS.err, 4] : [STATUS.drdy | STATUS.dsc, 0];
    trace.emit(E.ata_qc_complete_done, request.requestId, port, slot, status, error);
    yield;
    this.#requests[slot] = undefined;
    this.#inFlight--;
    onSlot(slot, 0);
    request.error = failed ? EIO : 0;
    cpu.complete(request);
  }

  /**
   * Section 6.2.2 of AHCI: the port is stopped and started. A command alone has failed; of queued ones nobody says which, so all of
   * them are done again, one by one.
   */
  *#recover(cpu: DriverCpu): Steps {
    const { access } = cpu;
    for (const value of [RUNNING & ~PXCMD.start, RUNNING])
      yield* access.write(this.#port + PORT.cmd, 4, value);
    if (this.#packets) {
      yield* this.#recoverPacket(cpu);
      return;
    }
    // The drive takes no command while its error stands: COMRESET clears it.
    for (const value of [0x301, 0x300]) yield* access.write(this.#port + PORT.sctl, 4, value);
    for (let slot = 0; slot < SLOTS; slot++) {
      const request = this.#requests[slot];
      if (request === undefined) continue;
      if (!this.#queued) {
        yield* this.#end(cpu, slot, true);
        continue;
      }
      this.#requests[slot] = undefined;
      this.#inFlight--;
      this.#again.push(request);
    }
  }

  /** What the drive says of a packet that failed: a unit attention is told once, and the command sent again. */
  *#recoverPacket(cpu: DriverCpu): Steps {
    const { access } = cpu;
    const { memory } = this.#o;
    const slot = this.#requests.findIndex((each) => each !== undefined);
    const request = this.#requests[slot];
    if (request === undefined) return;
    this.#fill(SENSE_SLOT, PACKET_FIS, this.#answerOf(SENSE_BYTES), false, PACKETS.requestSense);
    this.#o.trace.emit(E.atapi_send_cdb, request.requestId, this.#o.port, PACKETS.requestSense[0], 0, 0);
    yield;
    yield* access.write(this.#port + PORT.ci, 4, SENSE_BIT, request.requestId);
    for (let look = 0; look < PATIENCE; look++)
      if (((yield* access.read(this.#port + PORT.ci, 4, request.requestId)) & SENSE_BIT) === 0) break;
    yield* access.write(this.#port + PORT.is, 4, 0xffff_ffff, request.requestId);
    const bytes = new Uint8Array(SENSE_BYTES);
    memory.read(this.#answer, bytes);
    if (!isAttention(senseOf(bytes)) || ++request.retries > MOST_TRIES) {
      yield* this.#end(cpu, slot, true);
      return;
    }
    this.#requests[slot] = undefined;
    this.#inFlight--;
    this.#again.push(request);
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
