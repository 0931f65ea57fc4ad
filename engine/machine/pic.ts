/**
 * The pair of 8259A interrupt controllers of every PC (Intel 8259A data sheet; the edge/level registers of the 82371), answering as
 * QEMU's hw/intc/i8259.c. A kernel that uses the I/O APIC masks all their lines; firmware and old systems live on them.
 */
import type { AccessSize, AddressSpace, RegisterRange } from './address-space.ts';

/** Ports of the two chips, and of the registers that say which of their lines are level-triggered. */
export const PIC_PORT = { first: 0x20, second: 0xa0, firstElcr: 0x4d0, secondElcr: 0x4d1 } as const;
/** The line of the first chip that the second hangs on. */
const CASCADE = 2;
const LINES = 8;
/** Lines that can be made level-triggered: not the timer, the keyboard, the cascade, the clock, the coprocessor. */
const ELCR_MASK = { first: 0xf8, second: 0xde } as const;

const ICW1 = { init: 0x10, icw4: 1, single: 2 } as const;
const OCW3 = { is: 0x08, poll: 0x04, readRegister: 0x02, setSpecialMask: 0x40 } as const;
const SPURIOUS = 7;

/** One chip. Line numbers are its own, 0 to 7. */
class Chip implements RegisterRange {
  readonly name: string;
  readonly size = 2;
  readonly #first: boolean;
  readonly #output: (level: boolean) => void;
  /** Requested, in service, masked: a bit for each line. */
  irr = 0;
  isr = 0;
  imr = 0;
  /** Lines that are level-triggered. */
  elcr = 0;
  #levels = 0;
  /** The line of the highest priority. */
  #top = 0;
  #base = 0;
  #poll = false;
  #readsIsr = false;
  #specialMask = false;
  #autoEoi = false;
  #rotateOnAutoEoi = false;
  #fullyNested = false;
  /** Which initialisation word comes next at the second port; 0 for none. */
  #word = 0;
  #icw1 = 0;

  constructor(name: string, first: boolean, output: (level: boolean) => void) {
    this.name = name;
    this.#first = first;
    this.#output = output;
  }

  /** How far `bits`' line of the highest priority is from the top, 8 when there is none. */
  #priority(bits: number): number {
    for (let distance = 0; distance < LINES; distance++) {
      if ((bits & (1 << ((this.#top + distance) & 7))) !== 0) return distance;
    }
    return LINES;
  }

  /** The line that wants the CPU, or -1: unmasked, and of a higher priority than what is in service. */
  wanted(): number {
    let serving = this.#specialMask ? this.isr & ~this.imr : this.isr;
    // In this mode the second chip may interrupt its own interrupts.
    if (this.#fullyNested && this.#first) serving &= ~(1 << CASCADE);
    const priority = this.#priority(this.irr & ~this.imr);
    return priority < this.#priority(serving) ? (this.#top + priority) & 7 : -1;
  }

  #update(): void {
    this.#output(this.wanted() >= 0);
  }

  set(line: number, up: boolean): void {
    const bit = 1 << line;
    const rises = up && (this.#levels & bit) === 0;
    this.#levels = up ? this.#levels | bit : this.#levels & ~bit;
    if ((this.elcr & bit) !== 0) this.irr = up ? this.irr | bit : this.irr & ~bit;
    else if (rises) this.irr |= bit;
    this.#update();
  }

  /** The CPU's acknowledgement of `line`: it is in service now, unless interrupts end by themselves. */
  acknowledge(line: number): void {
    if (!this.#autoEoi) this.isr |= 1 << line;
    else if (this.#rotateOnAutoEoi) this.#top = (line + 1) & 7;
    if ((this.elcr & (1 << line)) === 0) this.irr &= ~(1 << line);
    this.#update();
  }

  vector(line: number): number {
    return this.#base + (line < 0 ? SPURIOUS : line);
  }

  read(offset: number, _size: AccessSize): number {
    if (this.#poll) {
      this.#poll = false;
      const line = this.wanted();
      if (line < 0) return 0;
      this.acknowledge(line);
      return 0x80 | line;
    }
    if (offset === 1) return this.imr;
    return this.#readsIsr ? this.isr : this.irr;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === 1) this.#writeSecond(value);
    else if ((value & ICW1.init) !== 0) this.#initialise(value);
    else if ((value & OCW3.is) !== 0) this.#mode(value);
    else this.#endOrRotate(value >> 5, value & 7);
  }

  /** Everything as after power-on but the edge/level register; levels that are still up stay requested. */
  #initialise(icw1: number): void {
    this.irr &= this.elcr;
    this.isr = this.imr = this.#levels = this.#top = this.#base = 0;
    this.#poll = this.#readsIsr = this.#specialMask = this.#autoEoi = false;
    this.#rotateOnAutoEoi = this.#fullyNested = false;
    this.#icw1 = icw1;
    this.#word = 2;
    this.#update();
  }

  #writeSecond(value: number): void {
    switch (this.#word) {
      case 2:
        this.#base = value & 0xf8;
        this.#word = (this.#icw1 & ICW1.single) === 0 ? 3 : this.#lastWord();
        break;
      case 3:
        this.#word = this.#lastWord();
        break;
      case 4:
        this.#fullyNested = (value & 0x10) !== 0;
        this.#autoEoi = (value & 2) !== 0;
        this.#word = 0;
        break;
      default:
        this.imr = value;
        this.#update();
    }
  }

  #lastWord(): number {
    return (this.#icw1 & ICW1.icw4) === 0 ? 0 : 4;
  }

  #mode(ocw3: number): void {
    if ((ocw3 & OCW3.poll) !== 0) this.#poll = true;
    if ((ocw3 & OCW3.readRegister) !== 0) this.#readsIsr = (ocw3 & 1) !== 0;
    if ((ocw3 & OCW3.setSpecialMask) !== 0) this.#specialMask = (ocw3 & 0x20) !== 0;
  }

  /** OCW2: bit 0 of `command` ends an interrupt, bit 1 names its line, bit 2 rotates priorities. */
  #endOrRotate(command: number, named: number): void {
    if (command === 0 || command === 4) {
      this.#rotateOnAutoEoi = command === 4;
      return;
    }
    const highest = this.#priority(this.isr);
    const specific = (command & 2) !== 0;
    if (command === 2 || (!specific && highest === LINES)) return;
    const line = specific ? named : (this.#top + highest) & 7;
    if ((command & 1) !== 0) this.isr &= ~(1 << line);
    if ((command & 4) !== 0) this.#top = (line + 1) & 7;
    this.#update();
  }
}

/** The pair: lines 0–7 on the first chip, 8–15 on the second. */
export class Pic {
  /** How often each line rose. */
  readonly edges = new Float64Array(2 * LINES);
  readonly first: Chip;
  readonly second: Chip;
  #levels = 0;

  /** `output`: the level of the wire to the CPU (INTR) changed. */
  constructor(output: (level: boolean) => void) {
    this.first = new Chip('first 8259A', true, output);
    this.second = new Chip('second 8259A', false, (level) => this.first.set(CASCADE, level));
  }

  /** Maps both chips and their edge/level registers. */
  map(io: AddressSpace): void {
    io.map(PIC_PORT.first, this.first);
    io.map(PIC_PORT.second, this.second);
    for (const [port, chip, mask] of [
      [PIC_PORT.firstElcr, this.first, ELCR_MASK.first],
      [PIC_PORT.secondElcr, this.second, ELCR_MASK.second],
    ] as const) {
      io.map(port, {
        name: `${chip.name} edge/level`,
        size: 1,
        read: () => chip.elcr,
        write: (_offset, _size, value) => {
          chip.elcr = value & mask;
        },
      });
    }
  }

  /** The level of line 0–15 changed. Line 2 is the cascade and nobody else's. */
  set(line: number, up: boolean): void {
    if (line === CASCADE) return;
    const bit = 1 << line;
    if (up && (this.#levels & bit) === 0) this.edges[line]++;
    this.#levels = up ? this.#levels | bit : this.#levels & ~bit;
    if (line < LINES) this.first.set(line, up);
    else this.second.set(line - LINES, up);
  }

  /** The CPU's acknowledge cycle: the vector, also of a spurious interrupt. */
  acknowledge(): number {
    const line = this.first.wanted();
    if (line < 0) return this.first.vector(-1);
    if (line !== CASCADE) {
      this.first.acknowledge(line);
      return this.first.vector(line);
    }
    const behind = this.second.wanted();
    if (behind >= 0) this.second.acknowledge(behind);
    this.first.acknowledge(CASCADE);
    return this.second.vector(behind);
  }
}
