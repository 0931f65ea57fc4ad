/**
 * Interrupts on their way to the virtual CPUs: messages (MSI, MSI-X) and level-triggered INTx lines. Both are counted; whoever
 * runs the CPU (the simulated one, or an emulator) takes them from here.
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

export interface PendingInterrupt {
  /** The local APIC's vector for a message; the line's number for INTx. */
  vector: number;
  kind: 'msi' | 'intx';
  /** The request that it was first raised for, 0 for none. */
  requestId: number;
}

export class InterruptController implements InterruptSink {
  /** Interrupts delivered so far, by APIC vector (messages) and by line. */
  readonly messageCounts = new Float64Array(256);
  readonly lineCounts = new Float64Array(4);
  readonly #pending = new Uint8Array(256);
  readonly #requests = new Uint32Array(256);
  readonly #lineRequests = new Uint32Array(4);
  #pendingMessages = 0;
  readonly #levels = new Uint8Array(4);
  #raised = 0;
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

  level(line: number): boolean {
    return this.#levels[line & 3] === 1;
  }

  get anyPending(): boolean {
    return this.#pendingMessages > 0 || this.#raised > 0;
  }

  /** The highest pending message vector taken out, or else a raised line (which stays raised), or undefined. */
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
    const line = this.#raised > 0 ? this.#levels.indexOf(1) : -1;
    return line < 0 ? undefined : { vector: line, kind: 'intx', requestId: this.#lineRequests[line] };
  }

  reset(): void {
    this.#pending.fill(0);
    this.#levels.fill(0);
    this.messageCounts.fill(0);
    this.lineCounts.fill(0);
    this.#pendingMessages = 0;
    this.#raised = 0;
  }
}
