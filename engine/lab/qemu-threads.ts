/**
 * Who serves queues in a laboratory: QEMU's main loop, an IOThread for each name in `iothread=`, and for each vhost device whoever plays
 * QEMU's part there. They share the host's disk.
 */
import type { BlockNode } from '../block/node.ts';
import { HostIo, hostChannels, type AioMode, type HostIoOptions } from '../machine/host-io.ts';
import type { Kvm } from '../machine/kvm.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { DrivableDevice } from './drivable.ts';
import { QemuThread } from './qemu-thread.ts';
import { isVhost, isVhostScsi } from './vhost.ts';

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

  /** The thread that serves a disk or its controller. */
  of(device: DrivableDevice): QemuThread {
    const name = serverOf(device);
    if (name === undefined) return this.main;
    const known = this.#byName.get(name) ?? this.#make(name);
    this.#byName.set(name, known);
    return known;
  }

  /** From now on the node is reached in this way, whoever asks for it. */
  reach(node: BlockNode, aio: AioMode): void {
    for (const { host } of this.all) host.reach(node, aio);
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

/** Undefined for the main loop. Without ioeventfd nobody could wake an IOThread, and QEMU refuses one. */
function serverOf({ controller, properties, driver, label }: DrivableDevice): string | undefined {
  if (isVhost(driver)) return isVhostScsi(driver) ? `vhost worker of ${label}` : `back end of ${label}`;
  const own = controller?.properties ?? properties;
  const name = own.text('iothread');
  return name === undefined || !own.on('ioeventfd', true) ? undefined : `IOThread ${name}`;
}
