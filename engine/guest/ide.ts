/**
 * The guest's driver of the PIIX IDE controllers, as Linux's ata_piix over libata (drivers/ata/libata-sff.c): one command at a time, and
 * every register of it an access to a port.
 */
import { BM, BM_COMMAND, BM_STATUS, PRD_END } from '../ide/bus-master.ts';
import { CMD, DEVICE, SECTOR, STATUS } from '../ide/ata.ts';
import { REGISTER } from '../ide/channel.ts';
import { LEGACY } from '../ide/piix.ts';
import type { PendingInterrupt } from '../machine/interrupts.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import type { GuestAllocator } from './allocator.ts';
import { EIO, MAX_SECTORS, MAX_SEGMENTS, segmentsOf, taskOf, type FoundDrive, type TaskFile } from './ata.ts';
import type { Sense } from '../scsi/sense.ts';
import {
  isAttention,
  MOST_RETRIES,
  NOT_READY,
  PACKETS,
  readPacket,
  SENSE_BYTES,
  senseOf,
  wordsOf,
} from './atapi.ts';
import type { BlockRequest } from './block-request.ts';
import type { GuestBus } from './bus.ts';
import type { DriverCpu, DriverLimits } from './driver.ts';
import { GeneratorDriver } from './generator-driver.ts';
import { IdeProbe } from './ide-probe.ts';
import type { RegisterAccess, Steps } from './register-access.ts';

const PAGE = 4096;
/** What one PRD can describe. */
const PRD_LIMIT = 0x1_0000;
const PRD_BYTES = 8;
/** Most bytes that libata asks a packet device for at once. */
const MOST_PIECE = 63 * 1024;
const byte = (value: number, shift: number): number => Math.floor(value / 2 ** shift) & 0xff;

export interface IdeDriverOptions {
  bus: GuestBus;
  memory: GuestMemory;
  allocator: GuestAllocator;
  trace: TraceRing;
  /** Lets the device work until nothing is left to do, while the driver probes. */
  settle: () => void;
  /** Where firmware put the bus master's registers. */
  busMaster: number;
  channel: 0 | 1;
  /** The drives to use: 0 for the master, 1 for the slave. They share the channel's registers, and take turns. */
  units: readonly (0 | 1)[];
  /** `libata.dma=0` turns it off. */
  dma: boolean;
  /** Tells the device on whose behalf the next accesses are, so that its events carry the request. */
  onRequest: (requestId: number) => void;
}

interface Command {
  request: BlockRequest;
  task: TaskFile;
  /** Bytes that PIO has moved. */
  moved: number;
  /** Of a CD-ROM drive: times that it was sent. */
  tries: number;
  /** The bus master was stopped in the middle: an interrupt came that was not the command's end, as a drive with a tray sends them. */
  cut: boolean;
}

export class IdeDriver extends GeneratorDriver {
  readonly name = 'ata_piix';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: MAX_SEGMENTS, queues: 1, depth: 1 };
  /** In the order of `units`. */
  readonly #drives: FoundDrive[] = [];
  readonly #o: IdeDriverOptions;
  readonly #master: number;
  /** The table of PRDs: one page. */
  readonly #table: number;
  #current: Command | undefined;

  constructor(options: IdeDriverOptions) {
    super();
    this.#o = options;
    this.#master = options.busMaster + options.channel * 8;
    this.#table = options.allocator.take(PAGE);
  }

  get #command(): number {
    return LEGACY[this.#o.channel].command;
  }
  get #control(): number {
    return LEGACY[this.#o.channel].control;
  }
  #driveOf({ disk }: BlockRequest): FoundDrive {
    return this.#drives[disk.unit];
  }
  #isSecond({ disk }: BlockRequest): boolean {
    return this.#o.units[disk.unit] === 1;
  }

  // ---- probe ----

  handles({ gsi }: PendingInterrupt): boolean {
    return gsi === LEGACY[this.#o.channel].irq;
  }

  protected find(): void {
    this.#drives.splice(0, Infinity, ...this.#probe.drives());
  }

  lockDoors(locked: boolean): void {
    this.#drives.forEach(({ packets }, at) => {
      if (packets) this.#probe.lockDoor(this.#o.units[at], locked);
    });
  }

  get #probe(): IdeProbe {
    return new IdeProbe(this.#o, this.#command, this.#control);
  }

  // ---- down ----

  hasRoom(): boolean {
    return this.#current === undefined;
  }

  #emit(event: number, a = 0, b = 0, c = 0, d = 0): void {
    this.#o.trace.emit(event, this.#current?.request.requestId ?? 0, a, b, c, d);
  }

  *submitSteps({ access }: DriverCpu, _queue: number, request: BlockRequest): Steps {
    const data = request.op === OP.read || request.op === OP.write;
    const task = this.#driveOf(request).packets ? this.#packetTask(request) : this.#taskOf(request);
    const current = { request, task, moved: 0, tries: 0, cut: false };
    this.#current = current;
    this.#o.onRequest(request.requestId);
    yield* this.#send(access, current, data);
  }

  #taskOf(request: BlockRequest): TaskFile {
    return taskOf(request, this.#driveOf(request).identity, this.#o.dma, this.#isSecond(request));
  }

  /** PACKET: how the data move, and for PIO how many bytes at once (`atapi_xlat`). */
  #packetTask(request: BlockRequest): TaskFile {
    const { sectors } = request;
    const { dma } = this.#o;
    const limit = dma ? 0 : Math.min(sectors * SECTOR, MOST_PIECE);
    const device = DEVICE.obsolete | (this.#isSecond(request) ? DEVICE.second : 0);
    return { command: CMD.packet, device, feature: dma ? 1 : 0, count: 0, sector: limit << 8, ext: false };
  }

  *#send(access: RegisterAccess, current: Command, data: boolean): Steps {
    const { request, task } = current;
    const { channel } = this.#o;
    current.tries++;
    current.cut = false;
    current.moved = 0;
    this.#emit(E.ata_qc_issue, 0, task.command, request.sector >>> 0, highWord(request.sector));
    yield;
    yield* this.#select(access, task.device);
    yield* this.#load(access, task);
    if (data && this.#o.dma) {
      this.#fillTable(request);
      yield* this.#setUp(access, request.op === OP.read);
    }
    this.#emit(E.ata_exec_command, channel, task.command);
    yield;
    yield* this.#out(access, REGISTER.status, task.command);
    yield* this.#pause(access);
    if (this.#driveOf(request).packets)
      yield* this.#sendPacket(access, readPacket(request.sector, request.sectors));
    if (data && this.#o.dma) yield* this.#start(access);
    else if (request.op === OP.write) yield* this.#firstBlock(access, current);
  }

  /** `atapi_send_cdb`: the drive asks for the packet without an interrupt. */
  *#sendPacket(access: RegisterAccess, packet: Uint8Array): Steps {
    yield* this.#in(access, REGISTER.status);
    this.#emit(E.atapi_send_cdb, this.#o.channel, packet[0]);
    yield;
    for (const word of wordsOf(packet)) yield* access.out(this.#command, 4, word, this.#requestId);
  }

  *#out(access: RegisterAccess, register: number, value: number): Steps {
    yield* access.out(this.#command + register, 1, value, this.#requestId);
  }
  *#in(access: RegisterAccess, register: number): Steps<number> {
    return yield* access.in(this.#command + register, 1, this.#requestId);
  }
  get #requestId(): number {
    return this.#current?.request.requestId ?? 0;
  }

  /** 400 ns, which libata spends on the alternate status. */
  *#pause(access: RegisterAccess): Steps<number> {
    return yield* access.in(this.#control, 1, this.#requestId);
  }

  /** `ata_dev_select`: waits, selects, waits again. */
  *#select(access: RegisterAccess, device: number): Steps {
    yield* this.#in(access, REGISTER.status);
    yield* this.#out(access, REGISTER.device, device & ~(DEVICE.lba | DEVICE.head));
    yield* this.#pause(access);
    yield* this.#in(access, REGISTER.status);
  }

  /** `ata_sff_tf_load`. */
  *#load(access: RegisterAccess, { device, count, sector, ext, feature = 0 }: TaskFile): Steps {
    this.#emit(E.ata_tf_load, this.#o.channel, 0, count, sector >>> 0);
    yield;
    const halves = ext ? [8, 0] : [0];
    for (const half of halves) {
      yield* this.#out(access, REGISTER.error, feature);
      yield* this.#out(access, REGISTER.count, byte(count, half));
      const low = half === 0 ? 0 : 24;
      yield* this.#out(access, REGISTER.lbaLow, byte(sector, low));
      yield* this.#out(access, REGISTER.lbaMid, byte(sector, low + 8));
      yield* this.#out(access, REGISTER.lbaHigh, byte(sector, low + 16));
    }
    yield* this.#out(access, REGISTER.device, device);
    yield* this.#in(access, REGISTER.status);
  }

  /** `ata_bmdma_fill_sg`: no PRD crosses a boundary of 64 KiB. */
  #fillTable(request: BlockRequest): void {
    const { memory } = this.#o;
    let at = this.#table;
    for (const { address, bytes } of segmentsOf(request)) {
      for (let done = 0; done < bytes;) {
        const from = address + done;
        const piece = Math.min(bytes - done, PRD_LIMIT - (from % PRD_LIMIT));
        memory.writeUint(at, 4, from);
        memory.writeUint(at + 4, 4, piece & 0xffff);
        at += PRD_BYTES;
        done += piece;
      }
    }
    memory.writeUint(at - 4, 4, (memory.readUint(at - 4, 4) | PRD_END) >>> 0);
  }

  *#setUp(access: RegisterAccess, toMemory: boolean): Steps {
    this.#emit(E.ata_bmdma_setup, this.#o.channel, this.#current?.task.command);
    yield;
    yield* access.out(this.#master + BM.table, 4, this.#table, this.#requestId);
    const command = yield* access.in(this.#master + BM.command, 1, this.#requestId);
    const direction = toMemory ? BM_COMMAND.toMemory : 0;
    const rest = command & ~(BM_COMMAND.toMemory | BM_COMMAND.start);
    yield* access.out(this.#master + BM.command, 1, rest | direction, this.#requestId);
  }

  *#start(access: RegisterAccess): Steps {
    this.#emit(E.ata_bmdma_start, this.#o.channel, this.#current?.task.command);
    yield;
    const command = yield* access.in(this.#master + BM.command, 1, this.#requestId);
    yield* access.out(this.#master + BM.command, 1, command | BM_COMMAND.start, this.#requestId);
  }

  // ---- PIO ----

  /** To write, the drive takes the first block without an interrupt. */
  *#firstBlock(access: RegisterAccess, current: Command): Steps {
    const status = yield* this.#in(access, REGISTER.status);
    if ((status & STATUS.drq) !== 0) yield* this.#moveBlock(access, current);
  }

  /** One DRQ block through the data port, page by page, by string instructions four bytes wide. */
  *#moveBlock(access: RegisterAccess, current: Command): Steps {
    const { request } = current;
    const write = request.op === OP.write;
    const { identity, packets } = this.#driveOf(request);
    const block = packets ? yield* this.#piece(access) : Math.max(1, identity.multiple) * SECTOR;
    const end = Math.min(current.moved + block, request.sectors * SECTOR);
    this.#emit(E.ata_sff_pio_transfer_data, this.#o.channel, end - current.moved, write ? 1 : 0);
    yield;
    let before = 0;
    for (const { address, bytes } of segmentsOf(request)) {
      while (current.moved < end && current.moved < before + bytes) {
        const from = address + current.moved - before;
        const most = Math.min(end, before + bytes) - current.moved;
        const piece = Math.min(most, PAGE - (from % PAGE));
        yield* access.string(write, this.#command, 4, piece / 4, from, this.#requestId);
        current.moved += piece;
      }
      before += bytes;
    }
    yield* this.#pause(access);
  }

  /** Bytes that a packet device offers now. */
  *#piece(access: RegisterAccess): Steps<number> {
    const low = yield* this.#in(access, REGISTER.lbaMid);
    return low | ((yield* this.#in(access, REGISTER.lbaHigh)) << 8);
  }

  /** REQUEST SENSE by PIO, polled (`atapi_eh_request_sense`). */
  *#sense(access: RegisterAccess, request: BlockRequest): Steps<Sense | undefined> {
    const device = DEVICE.obsolete | (this.#isSecond(request) ? DEVICE.second : 0);
    yield* this.#load(access, {
      command: CMD.packet,
      device,
      count: 0,
      sector: SENSE_BYTES << 8,
      ext: false,
    });
    yield* this.#out(access, REGISTER.status, CMD.packet);
    yield* this.#pause(access);
    yield* this.#sendPacket(access, PACKETS.requestSense);
    const answer = new Uint8Array(SENSE_BYTES);
    const offered = ((yield* this.#in(access, REGISTER.status)) & STATUS.drq) === 0 ? 0 : SENSE_BYTES;
    for (let at = 0; at < offered; at += 2) {
      const word = yield* access.in(this.#command, 2, this.#requestId);
      answer.set([word & 0xff, word >> 8], at);
    }
    yield* this.#in(access, REGISTER.status);
    // It was polled: the interrupts that it raised must not count for the command that follows.
    yield* this.#clearInterrupt(access);
    return senseOf(answer);
  }

  // ---- up ----

  *interruptSteps(cpu: DriverCpu, irq: PendingInterrupt): Steps {
    const current = this.#current;
    const { access } = cpu;
    if (irq.gsi !== LEGACY[this.#o.channel].irq) return;
    if (current === undefined) {
      yield* this.#idleInterrupt(access);
      return;
    }
    const { request } = current;
    const { packets } = this.#driveOf(request);
    const data = request.op === OP.read || request.op === OP.write;
    if (data && this.#o.dma) {
      const status = yield* access.in(this.#master + BM.status, 1, this.#requestId);
      this.#emit(E.ata_bmdma_status, this.#o.channel, status);
      yield;
      if ((status & BM_STATUS.interrupt) === 0) return;
      current.cut = (status & BM_STATUS.active) !== 0;
      yield* this.#stop(access);
    }
    if (((yield* this.#pause(access)) & STATUS.bsy) !== 0) {
      // The line is let go, so that the command's own interrupt is heard: Linux looks for it after half a minute (`ata_sff_lost_interrupt`).
      yield* this.#in(access, REGISTER.status);
      return;
    }
    const status = yield* this.#in(access, REGISTER.status);
    yield* this.#clearInterrupt(access);
    if ((status & (STATUS.err | STATUS.df)) !== 0) {
      const sense = packets ? yield* this.#sense(access, request) : undefined;
      const cut = current.cut && sense?.key !== NOT_READY;
      const again = packets && (isAttention(sense) || cut) && current.tries <= MOST_RETRIES;
      if (again) yield* this.#send(access, current, data);
      else yield* this.#end(cpu, current, status);
      return;
    }
    if (data && !this.#o.dma && (status & STATUS.drq) !== 0) {
      yield* this.#moveBlock(access, current);
      // A packet device tells of its end by an interrupt of its own.
      if (packets) return;
      const more = request.op === OP.write || current.moved < request.sectors * SECTOR;
      if (more) return;
    }
    yield* this.#end(cpu, current, status);
  }

  /** A drive spoke up without a command (its tray was moved): what it raised must not count for the next one (`ata_sff_idle_irq`). */
  *#idleInterrupt(access: RegisterAccess): Steps {
    yield* this.#in(access, REGISTER.status);
    yield* this.#clearInterrupt(access);
  }

  /** `ata_bmdma_irq_clear`. */
  *#clearInterrupt(access: RegisterAccess): Steps {
    const pending = yield* access.in(this.#master + BM.status, 1, this.#requestId);
    yield* access.out(this.#master + BM.status, 1, pending, this.#requestId);
  }

  *#stop(access: RegisterAccess): Steps {
    this.#emit(E.ata_bmdma_stop, this.#o.channel);
    yield;
    const command = yield* access.in(this.#master + BM.command, 1, this.#requestId);
    yield* access.out(this.#master + BM.command, 1, command & ~BM_COMMAND.start, this.#requestId);
    yield* this.#pause(access);
  }

  *#end(cpu: DriverCpu, current: Command, status: number): Steps {
    const failed = (status & (STATUS.err | STATUS.df)) !== 0;
    const error = failed ? yield* this.#in(cpu.access, REGISTER.error) : 0;
    this.#emit(E.ata_qc_complete_done, this.#o.channel, 0, status, error);
    yield;
    current.request.error = failed ? EIO : 0;
    this.#current = undefined;
    this.#o.onRequest(0);
    cpu.complete(current.request);
  }
}
