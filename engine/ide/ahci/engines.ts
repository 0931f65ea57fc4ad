/** The two engines of a port (AHCI 1.3.1, section 3.3.7): the one that takes commands, and the one that receives FISes. */
import type { PortParts } from './parts.ts';
import { LIST_BYTES, PXCMD, RECEIVED } from './registers.ts';

export class PortEngines {
  /** Where command list and FIS area lie in the memory's buffer while their engines run, else -1. */
  list = -1;
  received = -1;
  readonly #port: PortParts;

  constructor(port: PortParts) {
    this.#port = port;
  }

  /** A write of PxCMD: starts and stops them. */
  write(value: number): void {
    const { registers } = this.#port;
    if ((registers.cmd & PXCMD.start) !== 0 && (value & PXCMD.start) === 0) registers.sact = registers.ci = 0;
    const writable = ~(PXCMD.readOnly | PXCMD.powerState);
    registers.cmd = ((registers.cmd & PXCMD.readOnly) | (value & writable)) >>> 0;
    const wanted = (registers.cmd & PXCMD.start) !== 0;
    this.list = this.#engine(PXCMD.start, PXCMD.listRunning, this.list, 0, LIST_BYTES);
    // A list outside memory leaves the other engine as it is.
    if (!wanted || this.list >= 0) {
      const { fisReceive, fisRunning } = PXCMD;
      this.received = this.#engine(fisReceive, fisRunning, this.received, 2, RECEIVED.bytes);
    }
  }

  /** Whether FISes reach memory. */
  get receives(): boolean {
    return this.received >= 0 && (this.#port.registers.cmd & PXCMD.fisReceive) !== 0;
  }

  /** Where the engine's memory lies now. What is not wholly memory stops the engine. */
  #engine(start: number, running: number, now: number, word: number, bytes: number): number {
    const { registers, memory, enabled } = this.#port;
    const wanted = (registers.cmd & start) !== 0;
    const runs = (registers.cmd & running) !== 0;
    if (wanted === runs) return now;
    registers.cmd = (registers.cmd & ~running) >>> 0;
    if (!wanted) return -1;
    const address = registers.addresses[word] + registers.addresses[word + 1] * 0x1_0000_0000;
    const at = enabled() ? memory.locate(address, bytes) : -1;
    registers.cmd = (at < 0 ? registers.cmd & ~start : registers.cmd | running) >>> 0;
    return at;
  }
}
