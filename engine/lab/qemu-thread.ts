/**
 * One of QEMU's threads: its main loop, or an IOThread that serves the devices that name it (`iothread=`). Interrupts that it has raised
 * and KVM has to route come first, then one device after the other. A device goes on until it has nothing more to do, as a handler of
 * the event loop runs to its end, or until it has had its turn: one that always has more must not starve the others.
 */
import type { HostIo } from '../machine/host-io.ts';
import type { Kvm } from '../machine/kvm.ts';
import type { LabHardware } from './machines/kind.ts';

/** Steps of one turn: a few requests. */
const TURN = 64;
/** The main loop's number. */
export const MAIN_LOOP = 0;

export class QemuThread {
  readonly number: number;
  readonly name: string;
  /** Its way to the host: requests that it hands over, and those that it hears of. */
  readonly host: HostIo;
  readonly #kvm: Kvm;
  readonly #hardware: LabHardware[] = [];
  #at = 0;
  /** Steps that are left of the turn. */
  #left = TURN;

  constructor(number: number, name: string, kvm: Kvm, host: HostIo) {
    this.number = number;
    this.name = name;
    this.#kvm = kvm;
    this.host = host;
  }

  /** The device is served from now on. */
  serve(hardware: LabHardware): void {
    this.#hardware.push(hardware);
  }

  /** Does one thing; false when there is nothing. */
  step(): boolean {
    const kvm = this.#kvm;
    kvm.thread = this.number;
    const did = kvm.step() || this.#stepHardware();
    kvm.thread = MAIN_LOOP;
    return did;
  }

  #stepHardware(): boolean {
    const hardware = this.#hardware;
    for (let tried = 0; tried < hardware.length; tried++) {
      if (this.#left > 0 && hardware[this.#at].step()) {
        this.#left--;
        return true;
      }
      this.#next();
    }
    // The one whose turn was over is asked once more, when nobody else has anything to do.
    return hardware.length > 0 && hardware[this.#at].step();
  }

  #next(): void {
    this.#at = (this.#at + 1) % this.#hardware.length;
    this.#left = TURN;
  }
}
