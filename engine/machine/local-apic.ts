/**
 * The local APIC of one virtual CPU as far as interrupts have to be counted and taken (Intel SDM volume 3, chapter 11): messages of
 * devices and of the I/O APIC are requested by vector (IRR), the CPU takes the highest whose class lies above that of what it serves
 * (ISR), and says when it is done (EOI). It has no timer and no pins of its own: its local vector table stays masked as after power-on,
 * and the task priority stays 0.
 */
import type { PendingInterrupt } from './interrupts.ts';

export const LAPIC_BASE = 0xfee0_0000;
/** Section 11.4.1: offsets of the registers that have a bit for each vector, 32 to a register, 16 bytes apart. */
export const LAPIC = { isr: 0x100, tmr: 0x180, irr: 0x200 } as const;
/** Section 11.11.2: the data of a message. */
export const MESSAGE = { vector: 0xff, deliveryMode: 0x700, level: 0x8000 } as const;
/** Delivery modes that carry a vector; the others (SMI, NMI, INIT, ExtINT) no device of the lab sends, and nobody would hear them. */
const FIXED = 0x000;
export const LOWEST_PRIORITY = 0x100;

const VECTORS = 256;
/** Section 11.8.3: priorities are classes of 16 vectors. */
const CLASS_SHIFT = 4;
const NOBODY = -1;

export class LocalApic {
  /** Interrupts that arrived so far, by vector. */
  readonly counts = new Float64Array(VECTORS);
  /** By vector: requested; taken and not over; asked for by a level, of which the I/O APIC has to hear the end. */
  readonly irr = new Uint8Array(VECTORS);
  readonly isr = new Uint8Array(VECTORS);
  readonly tmr = new Uint8Array(VECTORS);
  readonly #requests = new Uint32Array(VECTORS);
  /** For a vector that came from a line: its number. */
  readonly #lines = new Int16Array(VECTORS).fill(NOBODY);
  /** How many bits of `irr` are set: most looks find none. */
  #requested = 0;
  /** Called whenever something arrived. */
  onPending: (() => void) | undefined;
  /** Called when the CPU is done with a level (section 11.8.5: the EOI message). */
  onEnd: ((vector: number) => void) | undefined;

  /** A message: of a device, or of the I/O APIC on behalf of line `gsi`. */
  message(data: number, requestId: number, gsi = NOBODY): void {
    const mode = data & MESSAGE.deliveryMode;
    if (mode !== FIXED && mode !== LOWEST_PRIORITY) return;
    const vector = data & MESSAGE.vector;
    this.counts[vector]++;
    this.tmr[vector] = (data & MESSAGE.level) === 0 ? 0 : 1;
    // Section 11.8.4: what is requested already is one interrupt with it.
    if (this.irr[vector] === 0) {
      this.irr[vector] = 1;
      this.#requested++;
      this.#requests[vector] = requestId;
      this.#lines[vector] = gsi;
    }
    this.onPending?.();
  }

  /** The vector that the CPU would take now, or -1. */
  get #next(): number {
    if (this.#requested === 0) return NOBODY;
    const vector = this.irr.lastIndexOf(1);
    const served = this.isr.lastIndexOf(1);
    return served < 0 || vector >> CLASS_SHIFT > served >> CLASS_SHIFT ? vector : NOBODY;
  }

  /** Whether `take` would answer something. */
  get anyPending(): boolean {
    return this.#requested > 0 && this.#next !== NOBODY;
  }

  /** The highest vector that is requested goes into service; undefined when there is none above what is being served. */
  take(): PendingInterrupt | undefined {
    const vector = this.#next;
    if (vector === NOBODY) return undefined;
    this.irr[vector] = 0;
    this.#requested--;
    this.isr[vector] = 1;
    const gsi = this.#lines[vector];
    return { vector, gsi: gsi < 0 ? undefined : gsi, requestId: this.#requests[vector] };
  }

  /** The handler is done: what is served with the highest vector is over (the register EOI, which virtual APICs handle without an exit). */
  end(): void {
    const vector = this.isr.lastIndexOf(1);
    if (vector < 0) return;
    this.isr[vector] = 0;
    if (this.tmr[vector] === 1) this.onEnd?.(vector);
  }
}
