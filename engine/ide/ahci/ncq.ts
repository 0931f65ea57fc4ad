/** Native command queueing (Serial ATA 3.2, section 13.6): reads and writes by tag, as QEMU's AHCI runs them (hw/ide/ahci.c). */
import type { GuestMemory } from '../../machine/memory.ts';
import { OP } from '../../trace/format.ts';
import { E } from '../../trace/registry.ts';
import { highWord } from '../../trace/ring.ts';
import { CMD, ERROR, SECTOR, STATUS } from '../ata.ts';
import type { IdeDrive } from '../drive.ts';
import { decideError } from '../errors.ts';
import type { Transfer } from '../io.ts';
import { ScatterList } from '../scatter.ts';
import { PXIS, SLOTS } from './registers.ts';

/** What a queue needs of its port. */
export interface NcqPort {
  readonly number: number;
  readonly drive: IdeDrive;
  /** Tags that ended well since the last Set Device Bits FIS. */
  finished: number;
  /** Fills the list with at most `limit` bytes of the slot's table. False when the table does not begin there. */
  populate(list: ScatterList, header: number, limit: number, offset: number): boolean;
  writeDeviceBits(requestId: number): void;
  trigger(bit: number): void;
}

const QUEUED: readonly number[] = [
  CMD.readFpdmaQueued,
  CMD.writeFpdmaQueued,
  CMD.ncqNonData,
  CMD.sendFpdmaQueued,
  CMD.receiveFpdmaQueued,
];
const MOST_SECTORS = 0x1_0000;

export const isQueued = (command: number): boolean => QUEUED.includes(command);

interface Tag {
  number: number;
  used: boolean;
  requestId: number;
  list: ScatterList;
  transfer: Transfer | undefined;
  /** It waits for the machine to run on, with its list. */
  again: (() => void) | undefined;
}

export class CommandQueue {
  readonly #port: NcqPort;
  readonly #tags: Tag[];
  /** A reset makes void what was put off. */
  #generation = 0;

  constructor(port: NcqPort, memory: GuestMemory) {
    this.#port = port;
    this.#tags = Array.from({ length: SLOTS }, (_, number) => ({
      number,
      used: false,
      requestId: 0,
      list: new ScatterList(memory),
      transfer: undefined,
      again: undefined,
    }));
  }

  get inFlight(): number {
    return this.#tags.filter(({ used }) => used).length;
  }

  reset(): void {
    this.#generation++;
    for (const tag of this.#tags) {
      tag.transfer?.orphan();
      tag.transfer = tag.again = undefined;
      tag.used = false;
    }
  }

  /** Whether the tag of a queued command is in use: such a command is ignored. */
  isUsed(fis: Uint8Array): boolean {
    return this.#tags[fis[12] >> 3].used;
  }

  /** A queued command; `header` is where its command header lies in memory. */
  begin(fis: Uint8Array, header: number, requestId: number): void {
    const port = this.#port;
    const tag = this.#tags[fis[12] >> 3];
    tag.used = true;
    tag.requestId = requestId;
    const command = fis[2];
    const sectors = (fis[11] << 8) | fis[3] || MOST_SECTORS;
    const low = fis[4] + fis[5] * 0x100 + fis[6] * 0x1_0000;
    const sector = (fis[8] + fis[9] * 0x100 + fis[10] * 0x1_0000) * 0x100_0000 + low;
    tag.list.clear();
    port.populate(tag.list, header, sectors * SECTOR, 0);
    if (tag.list.bytes < sectors * SECTOR) {
      this.#fail(tag);
      port.trigger(PXIS.overflow);
      return;
    }
    this.#emit(tag, E.process_ncq_command, tag.number, command, sector >>> 0, highWord(sector));
    if (command !== CMD.readFpdmaQueued && command !== CMD.writeFpdmaQueued) {
      this.#fail(tag);
      return;
    }
    this.#emit(tag, E.execute_ncq_command_read, tag.number, sectors, sector >>> 0, highWord(sector));
    this.#execute(tag, command === CMD.writeFpdmaQueued, sector, sectors);
  }

  #emit(tag: Tag, event: number, a: number, b: number, c: number, d: number): void {
    this.#port.drive.bus.trace.emit(event, tag.requestId, a, b, c, d);
  }

  #execute(tag: Tag, write: boolean, sector: number, sectors: number): void {
    const { drive } = this.#port;
    const { bus, node } = drive;
    const done = (error: unknown): void =>
      this.#done(tag, write, error, () => this.#execute(tag, write, sector, sectors));
    if (node === undefined || !drive.inRange(sector, sectors)) {
      const generation = this.#generation;
      bus.io.defer(() => {
        if (generation === this.#generation) done(new RangeError('past the end'));
      });
      return;
    }
    const op = write ? OP.write : OP.read;
    tag.transfer = bus.io.scattered(node, tag.requestId, op, sector * SECTOR, tag.list, done);
    tag.transfer.host.through = write && !drive.writeCache;
    bus.io.submit(tag.transfer);
  }

  #count(tag: Tag, write: boolean): void {
    const { stats } = this.#port.drive;
    if (write) stats.writes++;
    else stats.reads++;
    if (write) stats.bytesWritten += tag.list.bytes;
    else stats.bytesRead += tag.list.bytes;
  }

  /** A tag that failed waits for the machine to run on, others with it (`ahci_restart`). */
  #halt(tag: Tag, again: () => void): void {
    const { bus } = this.#port.drive;
    tag.again = again;
    bus.retry = () => {
      for (const each of this.#tags) {
        const retry = each.again;
        each.again = undefined;
        retry?.();
      }
    };
    bus.errors.stop();
  }

  #done(tag: Tag, write: boolean, error: unknown, again: () => void): void {
    const port = this.#port;
    const { drive } = port;
    tag.transfer = undefined;
    if (error === undefined) {
      drive.status = STATUS.drdy | STATUS.dsc;
      this.#count(tag, write);
    } else {
      const action = decideError(drive, error, !write, tag.requestId);
      if (action === 'report') this.#fail(tag);
      if (action === 'stop') {
        this.#halt(tag, again);
        return;
      }
    }
    // Failed tags are not named in the FIS, and stay in PxSACT.
    if (tag.used) port.finished |= 1 << tag.number;
    port.writeDeviceBits(tag.requestId);
    this.#emit(tag, E.ncq_finish, port.number, tag.number, 0, 0);
    tag.used = false;
  }

  #fail(tag: Tag): void {
    const { drive } = this.#port;
    drive.error = ERROR.abrt;
    drive.status = STATUS.drdy | STATUS.err;
    tag.used = false;
  }
}
