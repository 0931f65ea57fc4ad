/** A port as the guest's AHCI driver keeps it: its memory, its requests, and how a command gets into a slot (AHCI 1.3.1, section 4.2). */
import {
  FIS,
  FIS_COMMAND,
  HEADER,
  LIST_BYTES,
  PORT_BYTES,
  PORTS_AT,
  PXCMD,
  PXIS,
  RECEIVED,
  SLOTS,
  TABLE,
} from '../ide/ahci/registers.ts';
import { CMD, DEVICE } from '../ide/ata.ts';
import type { GuestMemory } from '../machine/memory.ts';
import { OP } from '../trace/format.ts';
import { highWord } from '../trace/ring.ts';
import type { GuestAllocator } from './allocator.ts';
import type { FoundDrive, Segment } from './ata.ts';
import type { BlockRequest } from './block-request.ts';

const TABLE_BYTES = 4096;
const RUNNING = PXCMD.fisReceive | PXCMD.spinUp | PXCMD.powerOn | PXCMD.start;
/** Written to PxCMD one after the other: the port is stopped and started. */
export const RESTART: readonly number[] = [RUNNING & ~PXCMD.start, RUNNING];
/** Written to PxSCTL one after the other. */
export const COMRESET: readonly number[] = [0x301, 0x300];
/** Bits of PxIS that say that a command has failed. */
export const FAILED = (1 << PXIS.taskFileError) | (1 << PXIS.hostBusFatal) | (1 << PXIS.overflow);
/** Words of a FIS in the command header. */
const FIS_WORDS = 5;

/** PACKET by DMA; the packet itself lies in the command table. */
export const PACKET_FIS: readonly number[] = [
  FIS.hostToDevice,
  FIS_COMMAND,
  CMD.packet,
  1,
  0,
  0,
  0,
  DEVICE.obsolete,
];

/** What the driver keeps of a port; each has a hardware queue of its own. */
export class AhciPort {
  readonly number: number;
  /** Where its registers are, and what it works with in memory. */
  readonly registers: number;
  readonly list: number;
  readonly received: number;
  /** What the probe has found there. */
  drive!: FoundDrive;
  /** Where a packet's answer of a few bytes goes. */
  answer = 0;
  /** Commands that it may have at a time. */
  depth = 1;
  readonly requests: (BlockRequest | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  inFlight = 0;
  /**
   * A bit for each slot whose command the controller has seen: another CPU's interrupt handler must not take one that is still on its way
   * for one that has ended (Linux holds the port's lock meanwhile).
   */
  issued = 0;
  /** The commands under way are queued ones. */
  queued = false;
  /** What an error of another command has ended, to be done again one by one. */
  readonly again: BlockRequest[] = [];
  readonly #tables: number;
  readonly #memory: GuestMemory;

  /** `registers`: where firmware put those of the controller. */
  constructor(number: number, registers: number, memory: GuestMemory, allocator: GuestAllocator) {
    this.number = number;
    this.#memory = memory;
    this.registers = registers + PORTS_AT + number * PORT_BYTES;
    this.list = allocator.take(LIST_BYTES);
    this.received = allocator.take(RECEIVED.bytes);
    this.#tables = allocator.take(SLOTS * TABLE_BYTES);
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

  /** Where the command table of a slot is. */
  table(slot: number): number {
    return this.#tables + slot * TABLE_BYTES;
  }

  /** Command header and command table of a slot; answers the number of PRDs. */
  fill(
    slot: number,
    fis: readonly number[],
    segments: readonly Segment[],
    write: boolean,
    packet?: Uint8Array,
  ): number {
    const memory = this.#memory;
    const table = this.table(slot);
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
    const header = this.list + slot * HEADER.bytes;
    const flags = (write ? HEADER.write : 0) | (packet === undefined ? 0 : HEADER.atapi);
    memory.writeUint(header, 4, ((segments.length << 16) | FIS_WORDS | flags) >>> 0);
    memory.writeUint(header + HEADER.moved, 4, 0);
    memory.writeUint(header + HEADER.table, 4, table >>> 0);
    memory.writeUint(header + HEADER.table + 4, 4, highWord(table));
    return segments.length;
  }
}
