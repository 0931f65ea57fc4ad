/** virtio over MMIO (virtio 1.2, section 4.2), version 2 and the legacy version 1, through a `Board`. */
import { MMIO } from '#engine/virtio/transport/mmio-layout.ts';
import { MMIO_AT, type Board } from './board.ts';
import type { QueueAddresses } from './script-ring.ts';
import type { Access, ScriptTransport } from './script-transport.ts';
import type { Note } from './transcript.ts';

/** What a driver of version 1 says its pages are, and how it aligns the used ring. */
const PAGE = 4096;
const FEATURES_OK = 8;

export class MmioTransport implements ScriptTransport {
  readonly board: Board;
  readonly #note: Note;
  readonly #legacy: boolean;

  constructor(board: Board, note: Note, legacy = false) {
    this.board = board;
    this.#note = note;
    this.#legacy = legacy;
  }

  read(register: number, size: Access = 4): Promise<number> {
    return this.board.read(MMIO_AT + register, size);
  }
  write(register: number, value: number, size: Access = 4): Promise<void> {
    return this.board.write(MMIO_AT + register, size, value);
  }

  async noteRegisters(label: string): Promise<void> {
    for (const size of [1, 2, 4] as const) {
      for (let at = 0; at < 0x160; at += size)
        this.#note(`${label} ${size} ${at}`, await this.read(at, size));
    }
  }

  status(): Promise<number> {
    return this.read(MMIO.status);
  }
  /** Version 1 has no FEATURES_OK. */
  setStatus(value: number): Promise<void> {
    return this.write(MMIO.status, this.#legacy ? value & ~FEATURES_OK : value);
  }
  async offered(half: 0 | 1): Promise<number> {
    await this.write(MMIO.deviceFeaturesSelect, half);
    return this.read(MMIO.deviceFeatures);
  }
  async accept(half: 0 | 1, bits: number): Promise<void> {
    await this.write(MMIO.driverFeaturesSelect, half);
    await this.write(MMIO.driverFeatures, bits);
  }

  async setUpQueue(queue: number, size: number, at: QueueAddresses): Promise<void> {
    await this.write(MMIO.queueSelect, queue);
    this.#note(`largest queue ${queue}`, await this.read(MMIO.queueSizeMax));
    if (this.#legacy) await this.write(MMIO.guestPageSize, PAGE);
    await this.write(MMIO.queueSize, size);
    if (this.#legacy) {
      await this.write(MMIO.queueAlign, PAGE);
      await this.write(MMIO.queuePage, at.desc / PAGE);
      this.#note(`queue page ${queue}`, await this.read(MMIO.queuePage));
      return;
    }
    for (const [register, address] of [
      [MMIO.queueDesc, at.desc],
      [MMIO.queueDriver, at.driver],
      [MMIO.queueDevice, at.device],
    ]) {
      await this.write(register, address);
      await this.write(register + 4, 0);
    }
    await this.write(MMIO.queueReady, 1);
    this.#note(`queue ready ${queue}`, await this.read(MMIO.queueReady));
  }

  device(offset: number, size: Access): Promise<number> {
    return this.read(MMIO.config + offset, size);
  }
  setDevice(offset: number, size: Access, value: number): Promise<void> {
    return this.write(MMIO.config + offset, value, size);
  }
  notify(queue: number): Promise<void> {
    return this.write(MMIO.queueNotify, queue);
  }

  async noteInterrupts(label: string, note: Note): Promise<void> {
    note(`${label} lines`, (await this.board.lines()).join(', '));
    const status = await this.read(MMIO.interruptStatus);
    note(`${label} interrupt status`, status);
    await this.write(MMIO.interruptAck, status);
    note(`${label} after the acknowledgement`, await this.read(MMIO.interruptStatus));
    note(`${label} lines after it`, (await this.board.lines()).join(', '));
  }
}
