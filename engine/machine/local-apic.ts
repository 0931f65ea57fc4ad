/**
 * The local APIC of one virtual CPU as far as interrupts have to be counted and taken (Intel SDM volume 3, chapter 11): messages of
 * devices and of the I/O APIC become pending by vector, and the CPU takes the highest.
 */
import { isMsiAddress, type PendingInterrupt } from './interrupts.ts';

const VECTORS = 256;

export class LocalApic {
  /** Interrupts that arrived so far, by vector. */
  readonly counts = new Float64Array(VECTORS);
  readonly #pending = new Uint8Array(VECTORS);
  readonly #requests = new Uint32Array(VECTORS);
  /** For a vector that came from a line: its number. */
  readonly #lines = new Int16Array(VECTORS).fill(-1);
  #count = 0;
  /** Called whenever something became pending. */
  onPending: (() => void) | undefined;
  /** Called for messages to an address that is no local APIC's: with MSI-X a device can be told to write anywhere. */
  onOther: ((address: number, data: number) => void) | undefined;
  /** Called when the CPU is done with an interrupt that came from a line. */
  onEnd: ((vector: number) => void) | undefined;

  /** A device's message (MSI, MSI-X). */
  message(address: number, data: number, requestId: number): void {
    if (isMsiAddress(address)) this.#arrive(data & 0xff, -1, requestId);
    else this.onOther?.(address, data);
  }

  /** A message of the I/O APIC on behalf of line `gsi`. */
  fromLine(vector: number, gsi: number, requestId: number): void {
    this.#arrive(vector, gsi, requestId);
  }

  #arrive(vector: number, gsi: number, requestId: number): void {
    this.counts[vector]++;
    if (this.#pending[vector] === 0) {
      this.#pending[vector] = 1;
      this.#requests[vector] = requestId;
      this.#lines[vector] = gsi;
      this.#count++;
    }
    this.onPending?.();
  }

  get anyPending(): boolean {
    return this.#count > 0;
  }

  /** The highest pending vector, taken out, or undefined. */
  take(): PendingInterrupt | undefined {
    if (this.#count === 0) return undefined;
    const vector = this.#pending.lastIndexOf(1);
    const gsi = this.#lines[vector];
    this.#pending[vector] = 0;
    this.#count--;
    return { vector, gsi: gsi < 0 ? undefined : gsi, requestId: this.#requests[vector] };
  }

  /** The handler is done (the register EOI, which the CPU's own APIC handles without an exit). */
  end({ vector, gsi }: PendingInterrupt): void {
    if (gsi !== undefined) this.onEnd?.(vector);
  }
}
