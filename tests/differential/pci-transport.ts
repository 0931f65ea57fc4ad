/** virtio over PCI (virtio 1.2, section 4.1, the modern interface) through a `Board`. */
import { CAP_AT, COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { SLOT, type Board } from './board.ts';
import type { QueueAddresses } from './script-ring.ts';
import type { Access, ScriptTransport } from './script-transport.ts';
import type { Note } from './transcript.ts';

export const MSIX_BASE = 0xe100_0000;
export const BAR_BASE = 0xe000_0000;
/** Where MSI-X messages go: ordinary memory, so that both machines can be looked at. */
export const MESSAGES = 0x20_0000;
const NO_VECTOR = 0xffff;
/** `notify_off_multiplier` of QEMU's devices. */
const NOTIFY_STRIDE = 4;

export class PciTransport implements ScriptTransport {
  readonly board: Board;
  readonly #note: Note;
  /** Vectors in use: 0 with INTx; otherwise the first is that of configuration changes, the others are of queues 0, 1 and so on. */
  vectors = 0;

  constructor(board: Board, note: Note) {
    this.board = board;
    this.#note = note;
  }

  async #select(offset: number): Promise<number> {
    await this.board.portWrite(0xcf8, 4, (0x8000_0000 | (SLOT << 11) | (offset & 0xfc)) >>> 0);
    return 0xcfc + (offset & 3);
  }
  async config(offset: number, size: Access): Promise<number> {
    return this.board.portRead(await this.#select(offset), size);
  }
  async setConfig(offset: number, size: Access, value: number): Promise<void> {
    await this.board.portWrite(await this.#select(offset), size, value);
  }
  common(offset: number, size: Access): Promise<number> {
    return this.board.read(BAR_BASE + REGION.common + offset, size);
  }
  setCommon(offset: number, size: Access, value: number): Promise<void> {
    return this.board.write(BAR_BASE + REGION.common + offset, size, value);
  }
  device(offset: number, size: Access): Promise<number> {
    return this.board.read(BAR_BASE + REGION.device + offset, size);
  }
  setDevice(offset: number, size: Access, value: number): Promise<void> {
    return this.board.write(BAR_BASE + REGION.device + offset, size, value);
  }

  /** The whole of configuration space, in words of four bytes. */
  async noteConfigSpace(label: string): Promise<void> {
    for (let at = 0; at < 256; at += 4) this.#note(`${label} ${at.toString(16)}`, await this.config(at, 4));
  }

  /** Sizes the BARs and puts them in their places. */
  async assign(): Promise<void> {
    for (let bar = 0; bar < 6; bar++) {
      await this.setConfig(0x10 + bar * 4, 4, 0xffff_ffff);
      this.#note(`bar ${bar} size`, await this.config(0x10 + bar * 4, 4));
      await this.setConfig(0x10 + bar * 4, 4, 0);
    }
    await this.setConfig(0x14, 4, MSIX_BASE);
    await this.setConfig(0x20, 4, BAR_BASE);
    await this.setConfig(4, 2, 7);
  }

  /** Points the entries of MSI-X at memory and turns MSI-X on. */
  async enableMsix(vectors: number): Promise<void> {
    for (let vector = 0; vector < vectors; vector++) {
      const at = MSIX_BASE + vector * 16;
      for (const [offset, value] of [
        [0, MESSAGES + vector * 4],
        [4, 0],
        [8, 0xabc0 + vector],
        [12, 0],
      ]) {
        await this.board.write(at + offset, 4, value);
      }
    }
    await this.setConfig(CAP_AT.msix + 2, 2, 0x8000);
    this.#note('msix control', await this.config(CAP_AT.msix + 2, 2));
    this.vectors = vectors;
  }

  status(): Promise<number> {
    return this.common(COMMON.status, 1);
  }
  setStatus(value: number): Promise<void> {
    return this.setCommon(COMMON.status, 1, value);
  }
  async offered(half: 0 | 1): Promise<number> {
    await this.setCommon(COMMON.deviceFeatureSelect, 4, half);
    return this.common(COMMON.deviceFeature, 4);
  }
  async accept(half: 0 | 1, bits: number): Promise<void> {
    await this.setCommon(COMMON.driverFeatureSelect, 4, half);
    await this.setCommon(COMMON.driverFeature, 4, bits);
  }

  async setUpQueue(queue: number, size: number, at: QueueAddresses): Promise<void> {
    const { vectors } = this;
    await this.setCommon(COMMON.configVector, 2, vectors > 0 ? 0 : NO_VECTOR);
    await this.setCommon(COMMON.queueSelect, 2, queue);
    await this.setCommon(COMMON.queueSize, 2, size);
    await this.setCommon(COMMON.queueVector, 2, queue + 1 < vectors ? queue + 1 : NO_VECTOR);
    await this.board.writeBytes(MESSAGES, new Uint8Array(Math.max(2, vectors) * 4));
    for (const [register, address] of [
      [COMMON.queueDesc, at.desc],
      [COMMON.queueDriver, at.driver],
      [COMMON.queueDevice, at.device],
    ]) {
      await this.setCommon(register, 4, address);
      await this.setCommon(register + 4, 4, 0);
    }
    await this.setCommon(COMMON.queueEnable, 2, 1);
  }

  notify(queue: number): Promise<void> {
    return this.board.write(BAR_BASE + REGION.notify + queue * NOTIFY_STRIDE, 2, queue);
  }

  async noteInterrupts(label: string, note: Note): Promise<void> {
    const bytes = Math.max(2, this.vectors) * 4;
    note(`${label} messages`, await this.board.readBytes(MESSAGES, bytes));
    await this.board.writeBytes(MESSAGES, new Uint8Array(bytes));
    for (const again of ['', ' again'])
      note(`${label} isr${again}`, await this.board.read(BAR_BASE + REGION.isr, 1));
  }
}
