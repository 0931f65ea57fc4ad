/**
 * The guest's AHCI driver, as Linux's ahci over libata (drivers/ata/libahci.c): up to 32 queued commands in memory, and two registers
 * to write for each.
 */
import { FIS, FIS_COMMAND, HBA, PORT, SLOTS } from '../ide/ahci/registers.ts';
import { CMD, DEVICE, STATUS } from '../ide/ata.ts';
import type { PendingInterrupt } from '../machine/interrupts.ts';
import { OP } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import { highWord, type TraceRing } from '../trace/ring.ts';
import { AhciPort, COMRESET, FAILED, PACKET_FIS, RESTART } from './ahci-port.ts';
import { AhciProbe, type AhciController } from './ahci-probe.ts';
import { EIO, MAX_SECTORS, PATIENCE, segmentsOf, taskOf, type AtaIdentity } from './ata.ts';
import { isAttention, MOST_RETRIES, PACKETS, readPacket, SENSE_BYTES, senseOf } from './atapi.ts';
import type { BlockRequest } from './block-request.ts';
import type { DriverCpu, DriverLimits } from './driver.ts';
import { GeneratorDriver } from './generator-driver.ts';
import type { RegisterAccess, Steps } from './register-access.ts';

/** `AHCI_MAX_SG` of Linux. */
const MAX_PRDS = 168;
/** The slot of REQUEST SENSE: the only other one is the first. */
const SENSE_SLOT = 1;
const SENSE_BIT = 1 << SENSE_SLOT;

export interface AhciDriverOptions extends AhciController {
  trace: TraceRing;
  /** The ports with the disks to use. */
  ports: readonly number[];
  /** Tells the device on whose behalf a slot's command is, so that its events carry the request. */
  onSlot: (port: number, slot: number, requestId: number) => void;
}

export class AhciDriver extends GeneratorDriver {
  readonly name = 'ahci';
  readonly limits: DriverLimits = { maxSectors: MAX_SECTORS, maxSegments: MAX_PRDS, queues: 1, depth: 1 };
  readonly #o: AhciDriverOptions;
  /** By the number of the disk at the driver. */
  readonly #ports: readonly AhciPort[];

  constructor(options: AhciDriverOptions) {
    super();
    this.#o = options;
    const { ports, registers, memory, allocator } = options;
    this.#ports = ports.map((number) => new AhciPort(number, registers, memory, allocator));
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

  protected find(): void {
    new AhciProbe(this.#o).find(this.#ports);
    this.limits.depth = Math.max(...this.#ports.map(({ depth }) => depth));
  }

  lockDoors(locked: boolean): void {
    new AhciProbe(this.#o).lockDoors(this.#ports, locked);
  }

  // ---- down ----

  hasRoom(queue: number, request: BlockRequest): boolean {
    return this.#ports[queue].hasRoom(request);
  }

  *submitSteps({ access }: DriverCpu, queue: number, request: BlockRequest): Steps {
    const port = this.#ports[queue];
    yield* this.#issue(access, port, request, port.canQueue(request));
  }

  *#issue(access: RegisterAccess, port: AhciPort, request: BlockRequest, queued: boolean): Steps {
    const { trace, onSlot } = this.#o;
    const { requestId, op, sector } = request;
    const slot = port.requests.indexOf(undefined);
    port.requests[slot] = request;
    port.inFlight++;
    port.queued = queued;
    onSlot(port.number, slot, requestId);
    const packet = port.drive.packets ? readPacket(sector, request.sectors) : undefined;
    const fis = queued
      ? queuedFis(request, slot)
      : packet === undefined
        ? plainFis(request, port.drive.identity)
        : PACKET_FIS;
    trace.emit(E.ata_qc_issue, requestId, slot, fis[2], sector >>> 0, highWord(sector));
    yield;
    const segments = op === OP.flush ? [] : segmentsOf(request);
    const prds = port.fill(slot, fis, segments, op === OP.write, packet);
    if (packet !== undefined) {
      trace.emit(E.atapi_send_cdb, requestId, port.number, packet[0], 0, 0);
      yield;
    }
    const table = port.table(slot);
    trace.emit(E.ahci_fill_cmd_slot, requestId, slot, prds, table >>> 0, highWord(table));
    yield;
    const bit = (1 << slot) >>> 0;
    if (queued) yield* access.write(port.registers + PORT.sact, 4, bit, requestId);
    yield* access.write(port.registers + PORT.ci, 4, bit, requestId, () => (port.issued |= bit));
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

  *#portInterrupt(cpu: DriverCpu, port: AhciPort, requestId: number): Steps {
    const { access } = cpu;
    const { number, registers } = port;
    const status = yield* access.read(registers + PORT.is, 4, requestId);
    this.#o.trace.emit(E.ahci_port_intr, requestId, number, status, 0, 0);
    yield;
    yield* access.write(registers + PORT.is, 4, status, requestId);
    // What is issued from here on and ends raises the interrupt once more.
    const { issued } = port;
    const active = yield* access.read(registers + (port.queued ? PORT.sact : PORT.ci), 4, requestId);
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((issued & ~active & (1 << slot)) === 0) continue;
      yield* this.#end(cpu, port, slot, false);
    }
    if ((status & FAILED) !== 0) yield* this.#recover(cpu, port);
  }

  *#end(cpu: DriverCpu, port: AhciPort, slot: number, failed: boolean): Steps {
    const request = port.requests[slot];
    if (request === undefined) return;
    const { trace, onSlot } = this.#o;
    const [status, error] = failed ? [STATUS.drdy | STATUS.err, 4] : [STATUS.drdy | STATUS.dsc, 0];
    trace.emit(E.ata_qc_complete_done, request.requestId, port.number, slot, status, error);
    yield;
    release(port, slot);
    onSlot(port.number, slot, 0);
    request.error = failed ? EIO : 0;
    cpu.complete(request);
  }

  /**
   * Section 6.2.2 of AHCI: the port is stopped and started. A command alone has failed; of queued ones nobody says which, so all of
   * them are done again, one by one.
   */
  *#recover(cpu: DriverCpu, port: AhciPort): Steps {
    const { access } = cpu;
    for (const value of RESTART) yield* access.write(port.registers + PORT.cmd, 4, value);
    if (port.drive.packets) {
      yield* this.#recoverPacket(cpu, port);
      return;
    }
    // The drive takes no command while its error stands: COMRESET clears it.
    for (const value of COMRESET) yield* access.write(port.registers + PORT.sctl, 4, value);
    for (let slot = 0; slot < SLOTS; slot++) {
      const request = port.requests[slot];
      if (request === undefined || (port.issued & (1 << slot)) === 0) continue;
      if (!port.queued) {
        yield* this.#end(cpu, port, slot, true);
        continue;
      }
      release(port, slot);
      port.again.push(request);
    }
  }

  /** What the drive says of a packet that failed: a unit attention is told once, and the command sent again. */
  *#recoverPacket(cpu: DriverCpu, port: AhciPort): Steps {
    const { access } = cpu;
    const { memory } = this.#o;
    const slot = port.requests.findIndex((each) => each !== undefined);
    const request = port.requests[slot];
    if (request === undefined) return;
    port.fill(SENSE_SLOT, PACKET_FIS, port.answerOf(SENSE_BYTES), false, PACKETS.requestSense);
    this.#o.trace.emit(E.atapi_send_cdb, request.requestId, port.number, PACKETS.requestSense[0], 0, 0);
    yield;
    yield* access.write(port.registers + PORT.ci, 4, SENSE_BIT, request.requestId);
    for (let look = 0; look < PATIENCE; look++)
      if (((yield* access.read(port.registers + PORT.ci, 4, request.requestId)) & SENSE_BIT) === 0) break;
    yield* access.write(port.registers + PORT.is, 4, 0xffff_ffff, request.requestId);
    const bytes = new Uint8Array(SENSE_BYTES);
    memory.read(port.answer, bytes);
    if (!isAttention(senseOf(bytes)) || ++request.retries > MOST_RETRIES) {
      yield* this.#end(cpu, port, slot, true);
      return;
    }
    release(port, slot);
    port.again.push(request);
  }
}

/** The slot is free again. */
function release(port: AhciPort, slot: number): void {
  port.requests[slot] = undefined;
  port.issued &= ~(1 << slot);
  port.inFlight--;
}

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
