/**
 * QEMU's main loop: interrupts that KVM has to route first, then one device after the other. A device goes on until it has nothing more to
 * do, as a handler of the event loop runs to its end.
 */
import type { Kvm } from '../machine/kvm.ts';
import type { LabHardware } from './machines/kind.ts';

export class QemuThread {
  readonly #kvm: Kvm;
  readonly #hardware: LabHardware[] = [];
  #at = 0;

  constructor(kvm: Kvm) {
    this.#kvm = kvm;
  }

  /** The device is served from now on. */
  serve(hardware: LabHardware): void {
    this.#hardware.push(hardware);
  }

  /** Does one thing; false when there is nothing. */
  step(): boolean {
    if (this.#kvm.step()) return true;
    const hardware = this.#hardware;
    for (let tried = 0; tried < hardware.length; tried++) {
      if (hardware[this.#at].step()) return true;
      this.#at = (this.#at + 1) % hardware.length;
    }
    return false;
  }
}
