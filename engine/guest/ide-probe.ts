/** How the guest finds the drives of an IDE channel: reset, signature, IDENTIFY, transfer mode, and what disc lies in a drive; all of it polled. */
import { PlatterError } from '../errors.ts';
import { CMD, CONTROL, DEVICE, SECTOR, STATUS } from '../ide/ata.ts';
import { REGISTER } from '../ide/channel.ts';
import { parseIdentity, PATIENCE, ULTRA_DMA_5, type FoundDrive } from './ata.ts';
import { discCapacity, lockDoor, PACKET_SIGNATURE, wordsOf } from './atapi.ts';
import type { GuestBus } from './bus.ts';

/** Most bytes of one piece of a packet's answer. */
const PACKET_LIMIT = 0x800;

export interface IdeProbeOptions {
  bus: GuestBus;
  /** Lets the device work until nothing is left to do. */
  settle: () => void;
  channel: 0 | 1;
  /** The drives to look for: 0 for the master, 1 for the slave. */
  units: readonly (0 | 1)[];
  /** Sets them up for DMA. */
  dma: boolean;
}

/** One look at a channel. */
export class IdeProbe {
  readonly #o: IdeProbeOptions;
  readonly #command: number;
  readonly #control: number;

  /** `command` and `control` are the first ports of the channel's two blocks. */
  constructor(options: IdeProbeOptions, command: number, control: number) {
    this.#o = options;
    this.#command = command;
    this.#control = control;
  }

  /** `ata_sff_softreset`, then each drive. */
  drives(): FoundDrive[] {
    const { bus, units } = this.#o;
    for (const value of [0, CONTROL.srst, 0]) bus.out(this.#control, 1, value);
    this.#wait();
    return units.map((unit) => this.#findDrive(unit));
  }

  /** IDENTIFY, the transfer mode. */
  #findDrive(unit: 0 | 1): FoundDrive {
    const { bus, channel } = this.#o;
    this.#select(unit);
    const signature = [REGISTER.lbaMid, REGISTER.lbaHigh].map((at) => bus.in(this.#command + at, 1));
    const status = this.#wait();
    const packets = signature[0] === PACKET_SIGNATURE.mid && signature[1] === PACKET_SIGNATURE.high;
    if (!packets && (signature.some((value) => value !== 0) || (status & STATUS.drdy) === 0)) {
      const value = `ide${channel}-hd${unit}`;
      throw new PlatterError('guest.no-ata', `there is no ATA disk at ${value}`, {
        field: 'signature',
        value,
      });
    }
    this.#issue(packets ? CMD.identifyPacket : CMD.identify);
    const page = new Uint8Array(SECTOR);
    const view = new DataView(page.buffer);
    for (let at = 0; at < SECTOR; at += 4) view.setUint32(at, bus.in(this.#command, 4), true);
    const identity = parseIdentity(page);
    const capacity = packets ? discCapacity((packet) => this.#polled(packet)) : identity.sectors * SECTOR;
    if (this.#o.dma) {
      bus.out(this.#command + REGISTER.error, 1, 3);
      bus.out(this.#command + REGISTER.count, 1, ULTRA_DMA_5);
      this.#issue(CMD.setFeatures);
    }
    return { identity, packets, capacity };
  }

  /** Locks or unlocks the door of a CD-ROM drive. */
  lockDoor(unit: 0 | 1, locked: boolean): void {
    this.#select(unit);
    lockDoor((packet) => this.#polled(packet), locked);
  }

  #select(unit: 0 | 1): void {
    const device = DEVICE.obsolete | (unit === 1 ? DEVICE.second : 0);
    this.#o.bus.out(this.#command + REGISTER.device, 1, device);
  }

  /** A packet while nothing else happens; what it answered, or undefined when it failed. */
  #polled(packet: Uint8Array): Uint8Array | undefined {
    const { bus } = this.#o;
    bus.out(this.#command + REGISTER.error, 1, 0);
    bus.out(this.#command + REGISTER.lbaMid, 1, 0);
    bus.out(this.#command + REGISTER.lbaHigh, 1, PACKET_LIMIT >> 8);
    this.#issue(CMD.packet);
    for (const word of wordsOf(packet)) bus.out(this.#command, 4, word);
    const answer: number[] = [];
    for (let status = this.#wait(); ; status = this.#wait()) {
      if ((status & STATUS.err) !== 0) return undefined;
      if ((status & STATUS.drq) === 0) return Uint8Array.from(answer);
      const low = bus.in(this.#command + REGISTER.lbaMid, 1);
      const bytes = low | (bus.in(this.#command + REGISTER.lbaHigh, 1) << 8);
      for (let at = 0; at < bytes; at += 2) {
        const word = bus.in(this.#command, 2);
        answer.push(word & 0xff, word >> 8);
      }
    }
  }

  #issue(command: number): void {
    this.#o.bus.out(this.#command + REGISTER.status, 1, command);
    this.#wait();
  }

  /** Looks at the status until the drive is not busy. */
  #wait(): number {
    for (let look = 0; look < PATIENCE; look++) {
      this.#o.settle();
      const status = this.#o.bus.in(this.#command + REGISTER.status, 1);
      if ((status & STATUS.bsy) === 0) return status;
    }
    throw new PlatterError('guest.reset-hangs', 'the drive does not finish its reset');
  }
}
