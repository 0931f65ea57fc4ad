/** How the data of a command move between its drive and guest memory (hw/ide/ahci.c). */
import { E } from '../../trace/registry.ts';
import type { DmaProvider, IdeDrive } from '../drive.ts';
import type { ScatterList } from '../scatter.ts';
import { addMoved, movedOf, optionsOf, prdsOf } from './command-header.ts';
import { emit, trigger, type PortParts } from './parts.ts';
import { gather } from './prdt.ts';
import type { ReceivedFises } from './received.ts';
import { HEADER, PXIS } from './registers.ts';

export class PortTransfers implements DmaProvider {
  /** Where the header of the command that runs lies in the memory's buffer, -1 before the first one. */
  header = -1;
  /** The first block of the command's data, or its packet, has moved. */
  firstDrqDone = false;
  /** The drive's command has ended. */
  readonly commandDone: () => void;
  readonly #port: PortParts;
  readonly #received: ReceivedFises;

  constructor(port: PortParts, received: ReceivedFises, commandDone: () => void) {
    this.#port = port;
    this.#received = received;
    this.commandDone = commandDone;
  }

  /** Fills the list with at most `limit` bytes of the command's table, from `offset` on. False when the table ends before. */
  populate(list: ScatterList, header: number, limit: number, offset: number): boolean {
    const { memory, enabled } = this.#port;
    const described = gather(memory, header, list, limit, offset, enabled());
    if (described < 0) return false;
    emit(this.#port, E.ahci_populate_sglist, prdsOf(memory, header), list.bytes);
    return offset < described;
  }

  #moved(bytes: number): void {
    addMoved(this.#port.memory, this.header, bytes);
  }

  start(drive: IdeDrive, go: () => void): void {
    emit(this.#port, E.ahci_start_dma);
    drive.ioDone = 0;
    go();
  }

  prepare(drive: IdeDrive, limit: number): number {
    if (!this.populate(drive.list, this.header, limit, drive.ioDone)) return -1;
    drive.ioBytes = drive.list.bytes;
    emit(this.#port, E.ahci_dma_prepare_buf, drive.list.bytes, limit);
    return drive.list.bytes;
  }

  commit(_drive: IdeDrive, bytes: number): void {
    this.#moved(bytes);
  }

  moveBuffer(drive: IdeDrive, toGuest: boolean): boolean {
    const bytes = drive.buffer.subarray(drive.ioIndex, drive.ioBytes);
    if (!this.populate(drive.list, this.header, bytes.length, drive.ioDone)) return false;
    if (toGuest) drive.list.fill(bytes);
    else drive.list.drain(bytes);
    this.#moved(bytes.length);
    drive.ioDone += bytes.length;
    drive.ioIndex += bytes.length;
    emit(this.#port, E.ahci_dma_rw_buf, bytes.length);
    return true;
  }

  /** The data of a PIO command move at once; the packet of PACKET is in the drive's buffer already. */
  pioTransfer(drive: IdeDrive): void {
    const bytes = drive.buffer.subarray(drive.dataAt, drive.dataEnd);
    const options = optionsOf(this.#port.memory, this.header);
    const write = (options & HEADER.write) !== 0;
    const packet = (options & HEADER.atapi) !== 0;
    const interrupt = this.firstDrqDone || (!packet && !write);
    this.#received.pioSetup(bytes.length, interrupt);
    if (!packet || this.firstDrqDone) {
      emit(this.#port, E.ahci_pio_transfer, bytes.length, write ? 1 : 0);
      if (bytes.length > 0 && this.populate(drive.list, this.header, bytes.length, drive.ioDone)) {
        if (write) drive.list.drain(bytes);
        else drive.list.fill(bytes);
      }
      this.#moved(bytes.length);
      drive.ioDone += bytes.length;
    }
    drive.dataAt = drive.dataEnd;
    this.firstDrqDone = true;
    if (interrupt) trigger(this.#port, PXIS.pioSetup);
  }

  restart(): void {
    this.#moved(-movedOf(this.#port.memory, this.header));
  }

  setInactive(): void {
    // The controller's engine needs no stopping.
  }
}
