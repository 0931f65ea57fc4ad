/** QEMU's threads in a laboratory: its main loop, and an IOThread for each name in `iothread=`. They share the host's disk. */
import { HostIo, hostChannels, type HostIoOptions } from '../machine/host-io.ts';
import type { Kvm } from '../machine/kvm.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { DrivableDevice } from './drivable.ts';
import { QemuThread } from './qemu-thread.ts';

export class QemuThreads {
  readonly main: QemuThread;
  /** By number. */
  readonly all: QemuThread[] = [];
  readonly #make: (name: string) => QemuThread;
  readonly #byName = new Map<string, QemuThread>();

  constructor(trace: TraceRing, kvm: Kvm, options: HostIoOptions) {
    const channels = hostChannels(options.costs);
    this.#make = (name) => {
      const host = new HostIo(trace, { ...options, channels });
      const thread = new QemuThread(this.all.length, name, kvm, host);
      this.all.push(thread);
      return thread;
    };
    this.main = this.#make('main loop');
  }

  /** The thread that serves a disk or its controller. Without ioeventfd nobody could wake an IOThread, and QEMU refuses one. */
  of({ controller, properties }: DrivableDevice): QemuThread {
    const own = controller?.properties ?? properties;
    const name = own.text('iothread');
    if (name === undefined || !own.on('ioeventfd', true)) return this.main;
    const known = this.#byName.get(name) ?? this.#make(`IOThread ${name}`);
    this.#byName.set(name, known);
    return known;
  }

  /** Requests that the host has taken and not yet reported. */
  get inFlight(): number {
    return this.all.reduce((sum, { host }) => sum + host.inFlight, 0);
  }

  /** One of them does one thing; false when none has anything to do. */
  step(): boolean {
    for (const thread of this.all) if (thread.step()) return true;
    return false;
  }

  /** The disk does one thing, whoever asked for it. */
  stepHardware(): boolean {
    for (const { host } of this.all) if (host.stepHardware()) return true;
    return false;
  }
}
