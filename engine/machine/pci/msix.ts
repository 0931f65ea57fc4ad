/** MSI-X of one PCI function (PCI 3.0, section 6.8.2): the vector table, the pending bits, masking, delivery. */
import { type AccessSize, lowBytes, type RegisterRange } from '../address-space.ts';

/** Bytes of a table entry: message address low and high, data, vector control. */
const ENTRY = 16;
/** Where the pending bit array starts in the BAR, as in QEMU's `msix_init_exclusive_bar` (hw/pci/msix.c). */
export const PBA_OFFSET = 0x800;
const BAR_SIZE = 0x1000;

export class Msix implements RegisterRange {
  readonly name: string;
  readonly size = BAR_SIZE;
  readonly vectors: number;
  /** Messages sent so far, by vector. */
  readonly counts: Float64Array;
  /** Message control: the function's own bits. */
  enabled = false;
  functionMasked = false;
  readonly #table: DataView;
  readonly #pending: Uint8Array;
  readonly #send: (vector: number, address: number, data: number) => void;

  constructor(name: string, vectors: number, send: (vector: number, address: number, data: number) => void) {
    this.name = name;
    this.vectors = vectors;
    this.#send = send;
    this.counts = new Float64Array(vectors);
    this.#table = new DataView(new ArrayBuffer(vectors * ENTRY));
    this.#pending = new Uint8Array(Math.ceil(vectors / 64) * 8);
    this.reset();
  }

  /** All vectors masked, nothing pending, the function's bits clear. */
  reset(): void {
    for (let v = 0; v < this.vectors; v++) {
      for (let word = 0; word < 4; word++)
        this.#table.setUint32(v * ENTRY + word * 4, word === 3 ? 1 : 0, true);
    }
    this.#pending.fill(0);
    this.counts.fill(0);
    this.enabled = false;
    this.functionMasked = false;
  }

  /** Sends the vector's message, or marks it pending while it is masked. Vectors past the table are ignored. */
  notify(vector: number): void {
    if (vector >= this.vectors || !this.enabled) return;
    if (this.masked(vector)) {
      this.#pending[vector >> 3] |= 1 << (vector & 7);
      return;
    }
    this.counts[vector]++;
    this.#send(vector, this.address(vector), this.data(vector));
  }

  address(vector: number): number {
    const at = vector * ENTRY;
    return this.#table.getUint32(at, true) + this.#table.getUint32(at + 4, true) * 0x1_0000_0000;
  }
  data(vector: number): number {
    return this.#table.getUint32(vector * ENTRY + 8, true);
  }
  masked(vector: number): boolean {
    return this.functionMasked || (this.#table.getUint8(vector * ENTRY + 12) & 1) === 1;
  }
  pending(vector: number): boolean {
    return (this.#pending[vector >> 3] & (1 << (vector & 7))) !== 0;
  }

  /** The function's bits of message control were written. */
  control(enabled: boolean, functionMasked: boolean): void {
    this.enabled = enabled;
    this.functionMasked = functionMasked;
    for (let v = 0; v < this.vectors; v++) this.#release(v);
  }

  #release(vector: number): void {
    if (!this.enabled || this.masked(vector) || !this.pending(vector)) return;
    this.#pending[vector >> 3] &= ~(1 << (vector & 7));
    this.notify(vector);
  }

  read(offset: number, size: AccessSize): number {
    const whole = this.#word(offset & ~3) >>> ((offset & 3) * 8);
    return lowBytes(whole, size);
  }

  #word(offset: number): number {
    if (offset < this.vectors * ENTRY) return this.#table.getUint32(offset, true);
    const at = offset - PBA_OFFSET;
    if (at < 0 || at + 4 > this.#pending.length) return 0;
    return new DataView(this.#pending.buffer).getUint32(at, true);
  }

  /** Only the table can be written; the pending bits belong to the device. */
  write(offset: number, size: AccessSize, value: number): void {
    if (offset + size > this.vectors * ENTRY) return;
    if (size === 4) this.#table.setUint32(offset, value, true);
    else if (size === 2) this.#table.setUint16(offset, value, true);
    else this.#table.setUint8(offset, value);
    this.#release(Math.floor(offset / ENTRY));
  }
}
