/** The FISes that a port writes for the guest (AHCI 1.3.1, section 4.2.1; hw/ide/ahci.c). */
import { E } from '../../trace/registry.ts';
import { STATUS } from '../ata.ts';
import type { IdeDrive } from '../drive.ts';
import type { PortEngines } from './engines.ts';
import { emit, trigger, type PortParts } from './parts.ts';
import { FIS, FIS_BYTES, PXIS, RECEIVED } from './registers.ts';

const INTERRUPT = 0x40;
/** Bits of the status that a Set Device Bits FIS carries. */
const DEVICE_BITS = 0x77;

export class ReceivedFises {
  readonly #port: PortParts;
  readonly #engines: PortEngines;

  constructor(port: PortParts, engines: PortEngines) {
    this.#port = port;
    this.#engines = engines;
  }

  get #drive(): IdeDrive {
    return this.#port.channel.drives[0];
  }

  #write(at: number, fis: Uint8Array): void {
    const { memory } = this.#port;
    const to = this.#engines.received + at;
    memory.dirty(to, fis.length);
    memory.bytes.set(fis, to);
  }

  /** The task file as every FIS of registers has it. */
  #taskFile(type: number, flags: number): Uint8Array {
    const drive = this.#drive;
    const { previous } = drive;
    const fis = new Uint8Array(FIS_BYTES);
    fis.set([
      type,
      flags,
      drive.status,
      drive.error,
      drive.lbaLow,
      drive.lbaMid,
      drive.lbaHigh,
      drive.device,
    ]);
    fis.set([previous.lbaLow, previous.lbaMid, previous.lbaHigh], 8);
    fis.set([drive.count & 0xff, (drive.count >> 8) & 0xff], 12);
    return fis;
  }

  #showTaskFile(): void {
    const { status, error } = this.#drive;
    this.#port.registers.tfd = (error << 8) | status;
    if ((status & STATUS.err) !== 0) trigger(this.#port, PXIS.taskFileError);
  }

  /** Register FIS, device to host; its I bit asks for an interrupt. False when no FIS is received. */
  registers(interrupt: boolean): boolean {
    if (!this.#engines.receives) return false;
    const { status, error } = this.#drive;
    this.#write(RECEIVED.register, this.#taskFile(FIS.deviceToHost, interrupt ? INTERRUPT : 0));
    emit(this.#port, E.ahci_write_fis_d2h, status, error);
    this.#showTaskFile();
    if (interrupt) trigger(this.#port, PXIS.registerFis);
    return true;
  }

  /** PIO Setup FIS for so many bytes. */
  pioSetup(bytes: number, interrupt: boolean): void {
    if (!this.#engines.receives) return;
    const { status } = this.#drive;
    const fis = this.#taskFile(FIS.pioSetup, interrupt ? INTERRUPT : 0);
    fis.set([status, bytes & 0xff, (bytes >> 8) & 0xff], 15);
    this.#write(RECEIVED.pioSetup, fis);
    emit(this.#port, E.ahci_write_fis_pio, status, bytes);
    this.#showTaskFile();
  }

  /** Set Device Bits FIS: these tags are done. The interrupt is the caller's. False when no FIS is received. */
  deviceBits(finished: number, requestId: number): boolean {
    if (!this.#engines.receives) return false;
    const { channel, registers } = this.#port;
    const drive = this.#drive;
    const status = drive.status & DEVICE_BITS;
    const fis = new Uint8Array(8);
    fis.set([FIS.deviceBits, INTERRUPT, status, drive.error]);
    new DataView(fis.buffer).setUint32(4, finished, true);
    this.#write(RECEIVED.deviceBits, fis);
    channel.requestId = requestId;
    emit(this.#port, E.ahci_write_fis_sdb, status, finished >>> 0);
    registers.tfd = (drive.error << 8) | status | (registers.tfd & 0x88);
    registers.sact = (registers.sact & ~finished) >>> 0;
    return true;
  }
}
