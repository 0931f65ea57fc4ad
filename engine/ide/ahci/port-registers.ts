/** The registers of one port (AHCI 1.3.1, section 3.3) as software reads them. */
import { DRIVE_PRESENT, PORT } from './registers.ts';

export class PortRegisters {
  /** Low and high words of the addresses of command list and FIS area, as written. */
  readonly addresses = new Uint32Array(4);
  is = 0;
  ie = 0;
  cmd = 0;
  tfd = 0;
  sig = 0;
  serr = 0;
  sact = 0;
  ci = 0;
  sctl = 0;
  readonly #present: () => boolean;

  /** `present`: whether there is a drive at the port, which PxSSTS shows. */
  constructor(present: () => boolean) {
    this.#present = present;
  }

  /** What the register at this offset reads as, bytes from the port's first one. Nothing changes by it. */
  value(offset: number): number {
    switch (offset) {
      case PORT.clb:
      case PORT.clbu:
      case PORT.fb:
      case PORT.fbu:
        return this.addresses[offset >> 2];
      case PORT.is:
        return this.is;
      case PORT.ie:
        return this.ie;
      case PORT.cmd:
        return this.cmd;
      case PORT.tfd:
        return this.tfd;
      case PORT.sig:
        return this.sig;
      case PORT.ssts:
        return this.#present() ? DRIVE_PRESENT : 0;
      case PORT.sctl:
        return this.sctl;
      case PORT.serr:
        return this.serr;
      case PORT.sact:
        return this.sact;
      case PORT.ci:
        return this.ci;
      default:
        return 0;
    }
  }
}
