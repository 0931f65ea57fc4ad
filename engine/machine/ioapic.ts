/**
 * The I/O APIC (Intel 82093AA; as QEMU's hw/intc/ioapic.c, version 0x20): interrupt lines come in at 24 pins, and each pin's entry of
 * the redirection table says which message they become. Under KVM it lies in the kernel.
 */
import type { AccessSize, RegisterRange } from './address-space.ts';

export const IOAPIC_BASE = 0xfec0_0000;
export const IOAPIC_PINS = 24;
/** Windows onto the registers: which one, its value, and (version 0x20) the end of an interrupt. */
export const IOAPIC = { select: 0x00, window: 0x10, eoi: 0x40 } as const;
/** Registers by the number in `select`; entry n of the table has two, from `table + 2 n` on. */
export const IOAPIC_REGISTER = { id: 0, version: 1, arbitration: 2, table: 0x10 } as const;
const VERSION = 0x20;
const WINDOW_SIZE = 0x1000;

/** Low word of an entry. */
export const REDIRECTION = {
  vector: 0xff,
  deliveryMode: 0x700,
  logical: 0x800,
  delivering: 0x1000,
  activeLow: 0x2000,
  remoteIrr: 0x4000,
  level: 0x8000,
  masked: 0x1_0000,
} as const;
/** What software cannot write. */
const READ_ONLY = REDIRECTION.delivering | REDIRECTION.remoteIrr;

const APIC_ADDRESS = 0xfee0_0000;
const DESTINATION_SHIFT = 12;
const MODE_LOGICAL = 4;

/** A message to a local APIC on behalf of pin `pin`. */
export type IoApicMessage = (address: number, data: number, pin: number) => void;

export class IoApic implements RegisterRange {
  readonly name = 'IO-APIC';
  readonly size = WINDOW_SIZE;
  /** Messages that each pin became, and how often its line rose. */
  readonly messages = new Float64Array(IOAPIC_PINS);
  readonly edges = new Float64Array(IOAPIC_PINS);
  readonly #low = new Uint32Array(IOAPIC_PINS).fill(REDIRECTION.masked);
  readonly #high = new Uint32Array(IOAPIC_PINS);
  readonly #send: IoApicMessage;
  #id = 0;
  #select = 0;
  /** Bit by pin: raised and not yet turned into a message (edge), or raised (level). */
  #requests = 0;
  #levels = 0;

  constructor(send: IoApicMessage) {
    this.#send = send;
  }

  /** Both words of a pin's entry. */
  entry(pin: number): { low: number; high: number } {
    return { low: this.#low[pin], high: this.#high[pin] };
  }

  /** Whether the pin's line is up now. */
  level(pin: number): boolean {
    return (this.#levels & (1 << pin)) !== 0;
  }

  /** The level of a line changed. The timer's line 0 arrives at pin 2, as on every PC. */
  set(line: number, up: boolean): void {
    const pin = line === 0 ? 2 : line;
    const bit = 1 << pin;
    if (up && (this.#levels & bit) === 0) this.edges[pin]++;
    this.#levels = up ? this.#levels | bit : this.#levels & ~bit;
    const entry = this.#low[pin];
    if ((entry & REDIRECTION.level) !== 0) {
      this.#requests = up ? this.#requests | bit : this.#requests & ~bit;
      if (up && (entry & REDIRECTION.remoteIrr) === 0) this.#service();
    } else if (up && (entry & REDIRECTION.masked) === 0) {
      this.#requests |= bit;
      this.#service();
    }
  }

  /** A CPU is done with the interrupt of this vector; a level that is still up becomes a message again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = this.#low[pin];
      if ((entry & REDIRECTION.vector) !== vector || (entry & REDIRECTION.level) === 0) continue;
      if ((entry & REDIRECTION.remoteIrr) === 0) continue;
      this.#low[pin] = entry & ~REDIRECTION.remoteIrr;
      if ((entry & REDIRECTION.masked) === 0 && (this.#requests & (1 << pin)) !== 0) this.#service();
    }
  }

  /** Turns every request that can become a message into one. */
  #service(): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const bit = 1 << pin;
      const entry = this.#low[pin];
      if ((this.#requests & bit) === 0 || (entry & REDIRECTION.masked) !== 0) continue;
      const level = (entry & REDIRECTION.level) !== 0;
      if (!level) this.#requests &= ~bit;
      else if ((entry & REDIRECTION.remoteIrr) !== 0) continue;
      else this.#low[pin] = entry | REDIRECTION.remoteIrr;
      this.messages[pin]++;
      const destination = (this.#high[pin] >>> 24) * 2 ** DESTINATION_SHIFT;
      const address = APIC_ADDRESS + destination + ((entry & REDIRECTION.logical) === 0 ? 0 : MODE_LOGICAL);
      this.#send(address, entry & (REDIRECTION.vector | REDIRECTION.deliveryMode | REDIRECTION.level), pin);
    }
  }

  read(offset: number, size: AccessSize): number {
    const at = offset & 0xff;
    if (at === IOAPIC.select) return this.#select;
    return at === IOAPIC.window && size === 4 ? this.#register() : 0;
  }

  #register(): number {
    const select = this.#select;
    if (select === IOAPIC_REGISTER.version) return VERSION | ((IOAPIC_PINS - 1) << 16);
    if (select === IOAPIC_REGISTER.id || select === IOAPIC_REGISTER.arbitration) return this.#id * 2 ** 24;
    const pin = (select - IOAPIC_REGISTER.table) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return 0;
    return (select & 1) === 1 ? this.#high[pin] : this.#low[pin];
  }

  write(offset: number, size: AccessSize, value: number): void {
    const at = offset & 0xff;
    if (at === IOAPIC.select) this.#select = value & 0xff;
    else if (size !== 4) return;
    else if (at === IOAPIC.window) this.#writeRegister(value);
    else if (at === IOAPIC.eoi) this.endOfInterrupt(value);
  }

  #writeRegister(value: number): void {
    const select = this.#select;
    if (select === IOAPIC_REGISTER.id) this.#id = (value >>> 24) & 15;
    const pin = (select - IOAPIC_REGISTER.table) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    if ((select & 1) === 1) this.#high[pin] = value;
    else this.#low[pin] = (value & ~READ_ONLY) | (this.#low[pin] & READ_ONLY);
    // Linux acknowledges a level this way where there is no register for it: to edge and back.
    if ((this.#low[pin] & REDIRECTION.level) === 0) this.#low[pin] &= ~REDIRECTION.remoteIrr;
    this.#service();
  }
}
