/** What hostile drivers of IDE and AHCI share: memory of their own, and an eye on all the rest of it. */
import type { AttackAnswer, AttackOutcome } from '#contract/lab-attacks.ts';
import type { GuestBus } from '../../guest/bus.ts';
import { STATUS } from '../../ide/ata.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import type { HostileDriver } from './attack.ts';

export interface AtaHostileOptions {
  bus: GuestBus;
  memory: GuestMemory;
  /** Guest physical address of memory that nobody else uses. */
  scratch: number;
  /** Lets device and disk work until nothing is left to do. */
  settle: () => void;
}

/** Bytes of memory that a hostile driver of an ATA disk needs. */
export const ATA_SCRATCH_BYTES = 64 * 1024;
const DATA_AT = 0x4000;
export const CANARY = 0xa5;
const STATUS_NAMES: readonly (readonly [number, string])[] = [
  [STATUS.bsy, 'BSY'],
  [STATUS.drdy, 'DRDY'],
  [STATUS.df, 'DF'],
  [STATUS.dsc, 'DSC'],
  [STATUS.drq, 'DRQ'],
  [STATUS.err, 'ERR'],
];
const ERROR_NAMES: readonly (readonly [number, string])[] = [
  [0x80, 'ICRC'],
  [0x40, 'UNC'],
  [0x10, 'IDNF'],
  [0x04, 'ABRT'],
];

/** Names of the bits that are set. */
export function bitNames(value: number, names: readonly (readonly [number, string])[]): string {
  return names
    .filter(([bit]) => (value & bit) !== 0)
    .map(([, name]) => name)
    .join('|');
}
const byte = (name: string, value: number, words: string): AttackAnswer => ({
  name,
  value,
  digits: 2,
  words,
});

export abstract class AtaHostile implements HostileDriver {
  readonly memory: GuestMemory;
  readonly scratch: number;
  /** Where data go: `dataBytes` of them, all `CANARY` at first. */
  readonly data: number;
  readonly dataBytes = ATA_SCRATCH_BYTES - DATA_AT;
  readonly error = undefined;
  protected readonly bus: GuestBus;
  readonly #settle: () => void;
  readonly #before: Uint8Array;

  constructor({ bus, memory, scratch, settle }: AtaHostileOptions) {
    this.bus = bus;
    this.memory = memory;
    this.scratch = scratch;
    this.data = scratch + DATA_AT;
    this.#settle = settle;
    memory.write(scratch, new Uint8Array(DATA_AT));
    this.blank();
    this.#before = memory.bytes.slice();
  }

  /** The drive's status and error registers now. */
  abstract readonly status: number;
  abstract readonly errorRegister: number;
  /** Reads sectors from `lba` on into `data`, by the rules; answers the status. */
  abstract read(lba: number, sectors: number): number;

  settle(): void {
    this.#settle();
  }

  /** Fills the data with the canary. */
  blank(): void {
    this.memory.write(this.data, new Uint8Array(this.dataBytes).fill(CANARY));
  }

  /** Bytes from `from` to `to` of the data are as they were. */
  untouched(from: number, to = this.dataBytes): boolean {
    const bytes = new Uint8Array(to - from);
    this.memory.read(this.data + from, bytes);
    return bytes.every((value) => value === CANARY);
  }

  /** Something outside of the driver's own memory has changed since it began. */
  get spilt(): boolean {
    const { bytes } = this.memory;
    const from = this.memory.require(this.scratch, ATA_SCRATCH_BYTES);
    const to = from + ATA_SCRATCH_BYTES;
    const same = (a: number, b: number): boolean =>
      Buffer.compare(bytes.subarray(a, b), this.#before.subarray(a, b)) === 0;
    return !same(0, from) || !same(to, bytes.length);
  }

  /** One sector as the disk gives it. */
  sector(lba: number): Uint8Array {
    this.read(lba, 1);
    const bytes = new Uint8Array(512);
    this.memory.read(this.data, bytes);
    return bytes;
  }

  /** Reads the first sector twice, over two different fillings: whether both times it came. */
  get reads(): boolean {
    const copies = [0x00, 0xff].map((filling) => {
      this.memory.write(this.data, new Uint8Array(512).fill(filling));
      return this.sector(0);
    });
    const failed = (this.status & (STATUS.bsy | STATUS.drq | STATUS.err | STATUS.df)) !== 0;
    return !failed && Buffer.compare(copies[0], copies[1]) === 0;
  }

  get outcome(): AttackOutcome {
    return (this.status & (STATUS.err | STATUS.df)) !== 0 ? 'error' : 'served';
  }

  get answers(): readonly AttackAnswer[] {
    const { status, errorRegister } = this;
    return [
      byte('Status', status, bitNames(status, STATUS_NAMES)),
      byte('Error', errorRegister, bitNames(errorRegister, ERROR_NAMES)),
    ];
  }
}
