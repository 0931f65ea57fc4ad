/**
 * One drive on a channel: its task file, its buffer, and where it stands in a transfer (QEMU's `IDEState`, hw/ide/core.c). What the
 * commands do stands beside: pio.ts, dma.ts, commands.ts, atapi/.
 */
import type { BlockNode } from '../block/node.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { IoErrors } from '../machine/io-errors.ts';
import { DEVICE, DMA, ERROR, SECTOR, STATUS, type DmaKind } from './ata.ts';
import { addressOf, setAddress } from './address.ts';
import { geometryOfSize, type Geometry } from './geometry.ts';
import { CANCELLED, type Finished, type IdeIo, type Transfer } from './io.ts';
import { DRIVE_DEFAULTS, type IdeDriveOptions } from './options.ts';
import type { ScatterList } from './scatter.ts';
import { Smart } from './smart.ts';

/** Sectors that fit into the drive's buffer (`IDE_DMA_BUF_SECTORS`), and four bytes more as QEMU has them. */
const BUFFER_SECTORS = 256;
const BUFFER_BYTES = BUFFER_SECTORS * SECTOR + 4;
/** Most sectors of READ and WRITE MULTIPLE. */
export const MAX_MULTIPLE = 16;
/** Reads into the drive's own buffer that may be under way, given up ones included. */
const MAX_BUFFERED = 16;

/** How a controller moves data and hears of ends: the bus master of PIIX, or AHCI. */
export interface DmaProvider {
  /** A DMA command is ready: call `go` when the transfer may begin. */
  start(drive: IdeDrive, go: () => void): void;
  /** AHCI: a PIO transfer's data move at once. Without it the guest takes them through the data port. */
  pioTransfer?(drive: IdeDrive): void;
  /** Fills `drive.list` with at most `limit` bytes of guest memory; how many it found. `drive.ioBytes` is what the table describes. */
  prepare(drive: IdeDrive, limit: number): number;
  /** So many bytes were moved. */
  commit(drive: IdeDrive, bytes: number): void;
  /** Moves `ioBytes` of the drive's buffer from `ioIndex` on; false when the table ended. */
  moveBuffer(drive: IdeDrive, toGuest: boolean): boolean;
  setInactive(more: boolean): void;
  commandDone(drive: IdeDrive): void;
  /** A command is begun once more, from the start of its table. */
  restart?(): void;
  /** The bus was reset. */
  busReset?(): void;
}

/** What a drive needs of the channel that it hangs on. */
export interface DriveBus {
  readonly trace: TraceRing;
  readonly io: IdeIo;
  readonly dma: DmaProvider;
  /** On whose behalf the channel works. */
  readonly requestId: number;
  /** A transfer straight to or from guest memory that is under way. */
  active: Transfer | undefined;
  readonly errors: IoErrors;
  /** What is done again when the machine runs on (QEMU's `error_status`). */
  retry: (() => void) | undefined;
  raiseIrq(): void;
}

export class IdeDrive {
  readonly unit: number;
  readonly bus: DriveBus;
  readonly list: ScatterList;
  readonly isCd: boolean;
  /** Whether there is a drive at all; an empty place answers as QEMU's does. */
  readonly present: boolean;
  readonly options: IdeDriveOptions;
  readonly serial: string;
  readonly model: string;
  readonly version: string;
  readonly smart: Smart;
  node: BlockNode | undefined;
  /** Sectors of 512 bytes. */
  sectors = 0;
  writeCache: boolean;
  /** Why the last transfer failed at the block node, for the screen. */
  lastFailure: unknown;
  readonly stats = { reads: 0, writes: 0, flushes: 0, trims: 0, errors: 0, bytesRead: 0, bytesWritten: 0 };

  // The task file. `count` is wider than its register while a command runs.
  feature = 0;
  error = 0;
  count = 0;
  lbaLow = 0;
  lbaMid = 0;
  lbaHigh = 0;
  device: number = DEVICE.obsolete;
  status = 0;
  previous = { feature: 0, count: 0, lbaLow: 0, lbaMid: 0, lbaHigh: 0 };
  lba48 = false;

  // Geometry as it is, and as INITIALIZE DEVICE PARAMETERS made it.
  readonly native: Geometry;
  heads: number;
  track: number;
  revertOnReset = false;
  multiple = MAX_MULTIPLE;
  identity: Uint8Array | undefined;

  // PIO.
  readonly buffer = new Uint8Array(BUFFER_BYTES);
  readonly view = new DataView(this.buffer.buffer);
  dataAt = 0;
  dataEnd = 0;
  /** Data go from the drive to the guest. */
  toGuest = true;
  /** Sectors of one interrupt. */
  blockSectors = 0;
  #end: (drive: IdeDrive) => void = dummyStop;
  /** The flush, read or write of a PIO command that is under way. */
  pio: Transfer | undefined;

  // DMA.
  dma: DmaKind = DMA.read;
  ioBytes = 0;
  ioIndex = 0;
  /** Bytes that the command has moved so far. */
  ioDone = 0;
  /** Where the command began, and how much it was to move: sectors, or blocks of a disc. */
  retrySector = 0;
  retryCount = 0;

  // Packet commands.
  packetDma = false;
  packetLeft = 0;
  packetBlock = -1;
  blockBytes = 0;
  senseKey = 0;
  asc = 0;
  trayOpen = false;
  trayLocked = false;
  /** 1: report that the medium is gone; 2: that another one is there. */
  changed = 0;
  newMedia = false;
  ejectRequested = false;

  /** Reads into the drive's buffer that are under way, given up ones included. */
  readonly #buffered = new Set<Transfer>();
  /** What was put off before a reset is not done after it. */
  #generation = 0;
  /** Native command queue of AHCI, 0 without. */
  queueDepth = 0;

  /** `number` counts the drives of a machine, from 1. Geometry is that of the size unless the options say otherwise. */
  constructor(
    unit: number,
    bus: DriveBus,
    list: ScatterList,
    number: number,
    options: IdeDriveOptions | undefined,
  ) {
    this.unit = unit;
    this.bus = bus;
    this.list = list;
    this.present = options !== undefined;
    this.options = options ?? { kind: 'hd' };
    this.isCd = this.options.kind === 'cd';
    this.node = this.options.node;
    this.sectors = Math.floor((this.node?.virtualSize ?? 0) / SECTOR);
    this.serial = (this.options.serial ?? `QM${String(number).padStart(5, '0')}`).slice(0, 20);
    this.model = (this.options.model ?? DRIVE_DEFAULTS.model[this.options.kind]).slice(0, 40);
    this.version = (this.options.version ?? DRIVE_DEFAULTS.version).slice(0, 8);
    this.writeCache = this.options.writeCache ?? true;
    const none = { cylinders: 0, heads: 0, sectors: 0 };
    this.native = this.options.geometry ?? (this.present && !this.isCd ? geometryOfSize(this.sectors) : none);
    this.heads = this.native.heads;
    this.track = this.native.sectors;
    this.smart = new Smart(this.present);
    this.reset();
  }

  emit(event: number, a = 0, b = 0, c = 0, d = 0): void {
    this.bus.trace.emit(event, this.bus.requestId, a, b, c, d);
  }

  /** Puts something off until the device's thread comes by; a reset in between makes it void. */
  later(action: () => void): void {
    const generation = this.#generation;
    this.bus.io.defer(() => {
      if (generation === this.#generation) action();
    });
  }

  // ---- reset ----

  /** After power-on, SRST and DEVICE RESET. Nothing that was under way reaches the registers any more (CVE-2023-5088). */
  reset(): void {
    this.emit(E.ide_reset, this.unit);
    this.#generation++;
    this.pio?.orphan();
    this.pio = undefined;
    this.bus.retry = undefined;
    if (this.revertOnReset) {
      this.revertOnReset = false;
      this.heads = this.native.heads;
      this.track = this.native.sectors;
    }
    this.multiple = MAX_MULTIPLE;
    this.feature = this.error = this.count = this.lbaLow = this.lbaMid = this.lbaHigh = 0;
    this.previous = { feature: 0, count: 0, lbaLow: 0, lbaMid: 0, lbaHigh: 0 };
    this.device = DEVICE.obsolete;
    this.status = STATUS.drdy | STATUS.dsc;
    this.lba48 = false;
    this.senseKey = this.asc = 0;
    this.changed = 0;
    this.packetLeft = this.blockBytes = 0;
    this.packetBlock = -1;
    this.packetDma = false;
    this.trayLocked = this.trayOpen = false;
    this.ioBytes = this.ioIndex = this.blockSectors = 0;
    this.setSignature();
    this.#end = dummyStop;
    this.toGuest = true;
    dummyStop(this);
  }

  /** The bus itself was reset: reads and transfers to guest memory are forgotten as well. */
  forget(): void {
    for (const transfer of this.#buffered) transfer.orphan();
    this.pio?.orphan();
    this.pio = undefined;
  }

  /** ATA/ATAPI-7, section 5.15 (device signatures). */
  setSignature(): void {
    this.device &= ~DEVICE.head;
    this.count = this.lbaLow = 1;
    const [mid, high] = this.isCd ? [0x14, 0xeb] : this.present ? [0, 0] : [0xff, 0xff];
    this.lbaMid = mid;
    this.lbaHigh = high;
  }

  // ---- sectors ----

  /** Where the command begins, as the registers say it; below 0 for sector 0 of the first track. */
  get sector(): number {
    return addressOf(this);
  }
  set sector(sector: number) {
    setAddress(this, sector);
  }

  inRange(sector: number, count: number): boolean {
    return sector >= 0 && sector <= this.sectors && count <= this.sectors - sector;
  }

  /** The sector count with its special case 0, and with its upper byte for LBA48. */
  takeCount(lba48: boolean): void {
    this.lba48 = lba48;
    if (!lba48) this.count ||= 256;
    else this.count = (this.previous.count << 8) | this.count || 65536;
  }

  // ---- PIO transfers ----

  /** Offers `length` bytes of the buffer at `at` at the data port; `end` is called when they have gone through. */
  startTransfer(at: number, length: number, toGuest: boolean, end: (drive: IdeDrive) => void): void {
    if (this.offerTransfer(at, length, toGuest, end)) end(this);
  }

  /** The same, but answers true when the data have moved already and `end` is still to be called (AHCI). */
  offerTransfer(at: number, length: number, toGuest: boolean, end: (drive: IdeDrive) => void): boolean {
    this.dataAt = at;
    this.dataEnd = at + length;
    this.toGuest = toGuest;
    if ((this.status & STATUS.err) === 0) this.status |= STATUS.drq;
    const { dma } = this.bus;
    if (dma.pioTransfer === undefined) {
      this.#end = end;
      return false;
    }
    dma.pioTransfer(this);
    return true;
  }

  haltTransfer(): void {
    this.#end = stopTransfer;
    this.toGuest = true;
    this.dataAt = this.dataEnd = 0;
    this.status &= ~STATUS.drq;
  }

  /** The guest takes `size` bytes; 0 where there is nothing to take. Never past what was offered (CVE-2020-29443). */
  readData(size: 2 | 4): number {
    if ((this.status & STATUS.drq) === 0 || !this.toGuest || this.dataAt + size > this.dataEnd) return 0;
    const value =
      size === 2 ? this.view.getUint16(this.dataAt, true) : this.view.getUint32(this.dataAt, true);
    this.#advance(size);
    return value;
  }

  writeData(size: 2 | 4, value: number): void {
    if ((this.status & STATUS.drq) === 0 || this.toGuest || this.dataAt + size > this.dataEnd) return;
    if (size === 2) this.view.setUint16(this.dataAt, value, true);
    else this.view.setUint32(this.dataAt, value, true);
    this.#advance(size);
  }

  #advance(size: number): void {
    this.dataAt += size;
    if (this.dataAt < this.dataEnd) return;
    this.status &= ~STATUS.drq;
    this.#end(this);
  }

  stop(): void {
    stopTransfer(this);
  }

  /** Opens or closes the tray. */
  moveTray(open: boolean): void {
    if (open === this.trayOpen) return;
    this.trayOpen = open;
    this.emit(E.DEVICE_TRAY_MOVED, open ? 1 : 0);
  }

  abort(): void {
    this.status = STATUS.drdy | STATUS.err;
    this.error = ERROR.abrt;
    stopTransfer(this);
  }

  // ---- transfers to the host ----

  /** Reads `bytes` at `offset` of the disk into the drive's buffer at `at`. */
  readBuffered(offset: number, bytes: number, at: number, finished: Finished): Transfer | undefined {
    const { bus, node } = this;
    if (node === undefined || this.#buffered.size > MAX_BUFFERED) {
      this.later(() => finished(new RangeError('too many transfers under way')));
      return undefined;
    }
    const transfer: Transfer = bus.io.buffered(node, bus.requestId, offset, bytes, undefined, (error) => {
      if (error === undefined) this.buffer.set(transfer.buffer.subarray(0, bytes), at);
      finished(error);
    });
    transfer.settled = () => this.#buffered.delete(transfer);
    this.#buffered.add(transfer);
    return bus.io.submit(transfer);
  }

  /**
   * Gives up what reads into the buffer, and calls `then` when no transfer to or from guest memory is under way any more: such a one
   * is never cut in the middle.
   */
  cancelDma(then: () => void): void {
    for (const transfer of this.#buffered) {
      const { finished } = transfer;
      if (finished === undefined) continue;
      this.emit(E.ide_cancel_dma_sync_buffered);
      transfer.orphan();
      finished(CANCELLED);
    }
    const { active } = this.bus;
    if (active === undefined) {
      then();
      return;
    }
    this.emit(E.ide_cancel_dma_sync_remaining);
    active.afterwards.push(() => this.cancelDma(then));
  }
}

/** Nothing is left to move. */
export function stopTransfer(drive: IdeDrive): void {
  drive.haltTransfer();
  drive.bus.dma.commandDone(drive);
}

/** What the data port holds after a reset. */
function dummyStop(drive: IdeDrive): void {
  drive.dataAt = drive.dataEnd = 0;
  drive.buffer.fill(0xff, 0, 4);
}
