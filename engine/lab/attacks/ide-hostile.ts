/** A driver without manners on one channel of an IDE controller: ports, and tables of physical region descriptors. */
import type { AttackAnswer } from '#contract/lab-attacks.ts';
import { BM, BM_COMMAND, BM_STATUS, PRD_END } from '../../ide/bus-master.ts';
import { CMD, CONTROL, DEVICE, STATUS } from '../../ide/ata.ts';
import { REGISTER } from '../../ide/channel.ts';
import type { AccessSize } from '../../machine/address-space.ts';
import { AtaHostile, bitNames, type AtaHostileOptions } from './ata-hostile.ts';

export interface IdeHostileOptions extends AtaHostileOptions {
  /** First ports of the command block, the control block and the bus master. */
  command: number;
  control: number;
  master: number;
  unit: 0 | 1;
}

/** Address, and size as the descriptor says it: 16 bits, 0 for 64 KiB. */
export type RawPrd = readonly [address: number, size: number];

export interface IdeTask {
  count?: number;
  lba?: number;
  feature?: number;
  /** Bits of the device register beside the unit's. */
  device?: number;
}

const BM_NAMES: readonly (readonly [number, string])[] = [
  [BM_STATUS.active, 'Active'],
  [BM_STATUS.error, 'Error'],
  [BM_STATUS.interrupt, 'Interrupt'],
];
const PRD_BYTES = 8;
const SECTOR = 512;
const part = (lba: number, shift: number): number => Math.floor(lba / 2 ** shift) & 0xff;

export class IdeHostile extends AtaHostile {
  /** Where the table of descriptors is put. */
  readonly table: number;
  readonly #o: IdeHostileOptions;

  constructor(options: IdeHostileOptions) {
    super(options);
    this.#o = options;
    this.table = options.scratch + 0x1000;
  }

  // ---- ports ----

  out(register: number, value: number, size: AccessSize = 1): void {
    this.bus.out(this.#o.command + register, size, value);
  }
  in(register: number, size: AccessSize = 1): number {
    return this.bus.in(this.#o.command + register, size);
  }
  control(value: number): void {
    this.bus.out(this.#o.control, 1, value);
  }
  master(register: number, value: number, size: AccessSize = 1): void {
    this.bus.out(this.#o.master + register, size, value);
  }
  get status(): number {
    return this.bus.in(this.#o.control, 1);
  }
  get errorRegister(): number {
    return this.in(REGISTER.error);
  }
  get masterStatus(): number {
    return this.bus.in(this.#o.master + BM.status, 1);
  }

  /** Writes the task file, both halves of it, and the command; lets nothing work yet. */
  issue(command: number, { count = 1, lba = 0, feature = 0, device = DEVICE.lba }: IdeTask = {}): void {
    const unit = this.#o.unit === 1 ? DEVICE.second : 0;
    this.out(REGISTER.device, DEVICE.obsolete | device | unit);
    for (const high of [8, 0]) {
      this.out(REGISTER.error, part(feature, high));
      this.out(REGISTER.count, part(count, high));
      const shift = high === 0 ? 0 : 24;
      this.out(REGISTER.lbaLow, part(lba, shift));
      this.out(REGISTER.lbaMid, part(lba, shift + 8));
      this.out(REGISTER.lbaHigh, part(lba, shift + 16));
    }
    this.out(REGISTER.status, command);
  }
  command(command: number, task: IdeTask = {}): void {
    this.issue(command, task);
    this.settle();
  }

  /** Words of the data port while it has any, at most so many. */
  words(most: number): number[] {
    return Array.from({ length: most }, () => this.in(REGISTER.data, 2));
  }

  // ---- the bus master ----

  /** Writes descriptors; the last one ends the table unless `endless`. */
  describe(prds: readonly RawPrd[], { endless = false, at = this.table } = {}): void {
    prds.forEach(([address, size], i) => {
      const end = !endless && i === prds.length - 1 ? PRD_END : 0;
      this.memory.writeUint(at + i * PRD_BYTES, 4, address);
      this.memory.writeUint(at + i * PRD_BYTES + 4, 4, (size | end) >>> 0);
    });
  }

  /** Starts the bus master on the table at `at`. */
  start(toMemory: boolean, at = this.table): void {
    this.master(BM.command, 0);
    this.master(BM.status, BM_STATUS.error | BM_STATUS.interrupt);
    this.master(BM.table, at, 4);
    this.master(BM.command, BM_COMMAND.start | (toMemory ? BM_COMMAND.toMemory : 0));
  }
  stop(): void {
    this.master(BM.command, 0);
  }

  /** READ DMA EXT of sectors from `lba` on, over these descriptors. */
  readDma(sectors: number, lba: number, prds: readonly RawPrd[], more: { endless?: boolean } = {}): void {
    // A table that was longer than its command has left the bus master active.
    this.stop();
    this.describe(prds, more);
    this.command(CMD.readDmaExt, { count: sectors, lba });
    this.start(true);
    this.settle();
  }

  read(lba: number, sectors: number): number {
    this.readDma(sectors, lba, [[this.data, sectors * SECTOR]]);
    this.stop();
    return this.status;
  }

  softReset(): void {
    this.control(CONTROL.srst);
    this.control(0);
  }
  get ready(): boolean {
    return (this.status & (STATUS.bsy | STATUS.drq)) === 0;
  }

  override get answers(): readonly AttackAnswer[] {
    const value = this.masterStatus;
    return [
      ...super.answers,
      { name: 'Bus Master Status', value, digits: 2, words: bitNames(value, BM_NAMES) },
    ];
  }
}
