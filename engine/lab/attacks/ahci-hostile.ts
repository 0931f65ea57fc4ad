/** A driver without manners on one port of an AHCI controller: registers, command list, command tables, FISes. */
import type { AttackAnswer } from '#contract/lab-attacks.ts';
import {
  FIS,
  FIS_BYTES,
  FIS_COMMAND,
  HEADER,
  PORT,
  PORT_BYTES,
  PORTS_AT,
  PXCMD,
  TABLE,
} from '../../ide/ahci/registers.ts';
import { CMD, DEVICE } from '../../ide/ata.ts';
import { OPCODE } from '../../scsi/opcode.ts';
import { AtaHostile, type AtaHostileOptions } from './ata-hostile.ts';

export interface AhciHostileOptions extends AtaHostileOptions {
  /** Where the controller's registers are, and the disk's port. */
  registers: number;
  port: number;
}

/** Guest physical address, and bytes. */
export type RawRegion = readonly [address: number | bigint, bytes: number];

export interface AhciCommand {
  feature?: number;
  count?: number;
  lba?: number;
  /** Bytes that replace those of the FIS from the first one on. */
  fis?: readonly number[];
  regions?: readonly RawRegion[];
  /** PRDTL, when it is not the number of regions. */
  prdtl?: number;
  /** Dwords of the command FIS, as the header says. */
  words?: number;
  /** Where the header says that the command table is. */
  table?: number;
  /** Of PACKET: the packet, which lies in the command table. */
  packet?: readonly number[];
}

/** Queued commands are issued in tables of their own. */
const TABLES = 8;
const SECTOR = 512;
const BLOCK = 2048;
const PACKET_BYTES = 12;
/** Most things that a drive has to tell before it answers. */
const ATTENTIONS = 3;
const RUNNING = PXCMD.fisReceive | PXCMD.spinUp | PXCMD.powerOn | PXCMD.start;
const part = (value: number, shift: number): number => Math.floor(value / 2 ** shift) & 0xff;

export class AhciHostile extends AtaHostile {
  readonly list: number;
  readonly received: number;
  readonly port: number;

  constructor(options: AhciHostileOptions) {
    super(options);
    this.port = options.registers + PORTS_AT + options.port * PORT_BYTES;
    this.list = options.scratch;
    this.received = options.scratch + 0x400;
    this.start(this.list, this.received);
  }

  // ---- registers ----

  get(register: number): number {
    return this.bus.read(this.port + register, 4);
  }
  set(register: number, value: number): void {
    this.bus.write(this.port + register, 4, value);
  }
  get status(): number {
    return this.get(PORT.tfd) & 0xff;
  }
  get errorRegister(): number {
    return (this.get(PORT.tfd) >>> 8) & 0xff;
  }

  /** Stops the port, points it to a list and an area for FISes, and starts it again. */
  start(list: number, received: number): void {
    this.set(PORT.cmd, RUNNING & ~(PXCMD.start | PXCMD.fisReceive));
    this.set(PORT.clb, list);
    this.set(PORT.clbu, 0);
    this.set(PORT.fb, received);
    this.set(PORT.fbu, 0);
    this.set(PORT.serr, 0xffff_ffff);
    this.set(PORT.is, 0xffff_ffff);
    this.set(PORT.ie, 0);
    this.set(PORT.cmd, RUNNING);
    this.settle();
  }
  /** COMRESET (AHCI 1.3.1, section 10.4.2). */
  reset(): void {
    this.set(PORT.sctl, 0x301);
    this.set(PORT.sctl, 0x300);
  }

  // ---- commands ----

  tableOf(slot: number): number {
    return this.scratch + 0x1000 + (slot % TABLES) * 0x400;
  }

  /** Writes header and table of a slot. A queued command has its count in the features and its tag in the count. */
  describe(slot: number, command: number, more: AhciCommand = {}): void {
    const { feature = 0, count = 1, lba = 0, regions = [], words = 5 } = more;
    const { memory } = this;
    const at = this.tableOf(slot);
    const fis = new Uint8Array(FIS_BYTES);
    fis.set([FIS.hostToDevice, FIS_COMMAND, command, feature & 0xff]);
    fis.set([part(lba, 0), part(lba, 8), part(lba, 16), DEVICE.lba], 4);
    fis.set([part(lba, 24), part(lba, 32), part(lba, 40), feature >> 8], 8);
    fis.set([count & 0xff, count >> 8], 12);
    fis.set(more.fis ?? []);
    memory.write(at, fis);
    if (more.packet !== undefined) memory.write(at + TABLE.packet, Uint8Array.from(more.packet));
    regions.forEach(([address, bytes], i) => {
      const prd = memory.require(at + TABLE.prdt + i * TABLE.prdBytes, TABLE.prdBytes);
      memory.dirty(prd, TABLE.prdBytes);
      memory.view.setBigUint64(prd, BigInt(address), true);
      memory.view.setUint32(prd + 12, bytes - 1, true);
    });
    const header = this.list + slot * HEADER.bytes;
    const atapi = more.packet === undefined ? 0 : HEADER.atapi;
    memory.writeUint(header, 4, (((more.prdtl ?? regions.length) << 16) | words | atapi) >>> 0);
    memory.writeUint(header + HEADER.moved, 4, 0);
    memory.writeUint(header + HEADER.table, 4, more.table ?? at);
    memory.writeUint(header + HEADER.table + 4, 4, 0);
  }

  /** Writes PxCI; for queued commands PxSACT before. */
  issue(slots: number, queued = false): void {
    if (queued) this.set(PORT.sact, slots);
    this.set(PORT.ci, slots);
  }

  /** One command in slot 0 to its end. */
  command(command: number, more: AhciCommand = {}): void {
    this.describe(0, command, more);
    this.issue(1);
    this.settle();
  }
  /** One queued read of `sectors` in slot 0, with tag 0. */
  queuedRead(sectors: number, lba: number, more: AhciCommand = {}): void {
    const regions = more.regions ?? [[this.data, sectors * SECTOR]];
    this.describe(0, CMD.readFpdmaQueued, { feature: sectors, count: 0, lba, ...more, regions });
    this.issue(1, true);
    this.settle();
  }

  read(lba: number, sectors: number): number {
    this.command(CMD.readDmaExt, { count: sectors, lba, regions: [[this.data, sectors * SECTOR]] });
    return this.status;
  }

  override get answers(): readonly AttackAnswer[] {
    const register = (name: string, offset: number): AttackAnswer => ({
      name,
      value: this.get(offset),
      digits: 8,
      words: '',
    });
    return [
      ...super.answers,
      register('PxIS', PORT.is),
      register('PxCI', PORT.ci),
      register('PxSACT', PORT.sact),
    ];
  }
}

/** The same on a port with a CD-ROM drive, which is read by packets. */
export class AhciDiscHostile extends AhciHostile {
  /** Blocks of 2048 bytes. */
  override read(lba: number, blocks: number): number {
    // A reset, and then a new disc, are told of first (MMC-6, section 4.1.6), and each is an error that the port has to be restarted for.
    for (let look = 0; look < ATTENTIONS; look++) {
      this.start(this.list, this.received);
      this.#packet([OPCODE.testUnitReady], 0);
    }
    const address = [lba >>> 24, (lba >>> 16) & 0xff, (lba >>> 8) & 0xff, lba & 0xff];
    this.#packet([OPCODE.read10, 0, ...address, 0, 0, blocks], blocks * BLOCK);
    return this.status;
  }

  #packet(cdb: readonly number[], bytes: number): void {
    const packet = Array.from({ length: PACKET_BYTES }, (_, i) => cdb[i] ?? 0);
    this.command(CMD.packet, { feature: 1, packet, regions: bytes === 0 ? [] : [[this.data, bytes]] });
  }
}
