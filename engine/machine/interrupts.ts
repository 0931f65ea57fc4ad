/**
 * Interrupts on their way to the virtual CPUs: messages (MSI, MSI-X), level-triggered INTx lines, and the edge-triggered lines of the
 * ISA bus. All are counted; whoever runs the CPU (the simulated one, or an emulator) takes them from here.
 */

/** Messages to 0xFEE00000–0xFEEFFFFF go to local APICs (Intel SDM volume 3, section 11.11). */
export function isMsiAddress(address: number): boolean {
  return address >= 0xfee0_0000 && address <= 0xfeef_ffff;
}

export interface InterruptSink {
  /** A message: a 32-bit write of `data` to `address`, on behalf of a request (0 for none). */
  message(address: number, data: number, requestId: number): void;
  /** The level of INTx pin `pin` (0 = INTA) of the device in slot `slot` changed. */
  line(slot: number, pin: number, level: boolean, requestId: number): void;
}

/** Lines of the ISA bus, which are a wire each: IDE's 14 and 15. */
export interface IsaInterruptSink {
  isa(irq: number, level: boolean, requestId: number): void;
}

export interface PendingInterrupt {
  /** The local APIC's vector for a message; the line's number for INTx and ISA. */
  vector: number;
  kind: 'msi' | 'intx' | 'isa';
  /** The request that it was first raised for, 0 for none. */
  requestId: number;
}

export class InterruptController implements InterruptSink, IsaInterruptSink {
  /** Interrupts delivered so far, by APIC vector (messages) and by line. */
  readonly messageCounts = new Float64Array(256);
  readonly lineCounts = new Float64Array(4);
  readonly isaCounts = new Float64Array(16);
  readonly #pending = new Uint8Array(256);
  readonly #requests = new Uint32Array(256);
  readonly #lineRequests = new Uint32Array(4);
  #pendingMessages = 0;
  readonly #levels = new Uint8Array(4);
  #raised = 0;
  #isaLevels = 0;
  #isaPending = 0;
  readonly #isaRequests = new Uint32Array(16);
  /** Called whenever something became pending. */
  onPending: (() => void) | undefined;
  /** Called for messages to an address that is no local APIC's: with MSI-X a device can be told to write anywhere. */
  onOther: ((address: number, data: number) => void) | undefined;

  message(address: number, data: number, requestId: number): void {
    if (!isMsiAddress(address)) {
      this.onOther?.(address, data);
      return;
    }
    const vector = data & 0xff;
    this.messageCounts[vector]++;
    if (this.#pending[vector] === 0) {
      this.#pending[vector] = 1;
      this.#requests[vector] = requestId;
      this.#pendingMessages++;
    }
    this.onPending?.();
  }

  /** Slots and pins are swizzled onto four lines as on every PC: (slot + pin) mod 4. */
  line(slot: number, pin: number, level: boolean, requestId: number): void {
    const line = (slot + pin) & 3;
    const before = this.#levels[line];
    this.#levels[line] = level ? 1 : 0;
    if (level && before === 0) {
      this.lineCounts[line]++;
      this.#raised++;
      this.#lineRequests[line] = requestId;
      this.onPending?.();
    } else if (!level && before === 1) {
      this.#raised--;
    }
  }

  /** Edge-triggered, as firmware and Linux leave these lines: what has risen stays pending although the line falls again. */
  isa(irq: number, level: boolean, requestId: number): void {
    const bit = 1 << irq;
    const rises = level && (this.#isaLevels & bit) === 0;
    this.#isaLevels = level ? this.#isaLevels | bit : this.#isaLevels & ~bit;
    if (!rises) return;
    this.isaCounts[irq]++;
    this.#isaPending |= bit;
    this.#isaRequests[irq] = requestId;
    this.onPending?.();
  }

  level(line: number): boolean {
    return this.#levels[line & 3] === 1;
  }

  get anyPending(): boolean {
    return this.#pendingMessages > 0 || this.#raised > 0 || this.#isaPending !== 0;
  }

  /** The highest pending message vector taken out, or else a line: of ISA, or a raised one of PCI (which stays raised). */
  take(): PendingInterrupt | undefined {
    if (this.#pendingMessages > 0) {
      for (let vector = 255; vector >= 0; vector--) {
        if (this.#pending[vector] === 1) {
          this.#pending[vector] = 0;
          this.#pendingMessages--;
          return { vector, kind: 'msi', requestId: this.#requests[vector] };
        }
      }
    }
    if (this.#isaPending !== 0) {
      const irq = 31 - Math.clz32(this.#isaPending);
      this.#isaPending &= ~(1 << irq);
      return { vector: irq, kind: 'isa', requestId: this.#isaRequests[irq] };
    }
    const line = this.#raised > 0 ? this.#levels.indexOf(1) : -1;
    return line < 0 ? undefined : { vector: line, kind: 'intx', requestId: this.#lineRequests[line] };
  }

  reset(): void {
    this.#pending.fill(0);
    this.#levels.fill(0);
    this.messageCounts.fill(0);
    this.lineCounts.fill(0);
    this.isaCounts.fill(0);
    this.#pendingMessages = 0;
    this.#raised = 0;
    this.#isaLevels = this.#isaPending = 0;
  }
}
