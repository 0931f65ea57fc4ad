/** The hostile driver of one virtio disk: which attacks there are, one run of one of them, and the recovery after it. */
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import { PlatterError, toPlainError } from '../../errors.ts';
import type { GuestAllocator } from '../../guest/allocator.ts';
import type { GuestBus } from '../../guest/bus.ts';
import { VirtioPciDriver } from '../../guest/virtio-pci.ts';
import type { VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import { BLK_S, BLK_T } from '../../virtio/blk/protocol.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import type { RegisterMap } from '../details/registers.ts';
import type { Attack } from './attack.ts';
import { BLK_ATTACKS } from './blk.ts';
import { Hostile, SCRATCH_BYTES } from './hostile.ts';
import { PACKED_ATTACKS } from './packed.ts';
import { REGISTER_ATTACKS } from './registers.ts';
import { RING_ATTACKS } from './rings.ts';

export interface AttackPanel {
  list(): AttackInfo[];
  /**
   * Runs one on a device whose queues are empty; the driver has initialised the device again when this returns. Throws
   * `lab.unknown-attack`.
   */
  run(id: string): Promise<AttackResult>;
}

export interface PanelOptions {
  device: VirtioDevice;
  driver: VirtqueueDriver;
  registers: RegisterMap;
  bus: GuestBus;
  allocator: GuestAllocator;
  settle: () => void;
  quiet: () => Promise<void>;
  probeAgain: () => void;
}

/** The number of a block device (virtio 1.2, chapter 5). */
const BLOCK = 2;

export const ATTACKS: readonly Attack[] = [
  ...RING_ATTACKS,
  ...PACKED_ATTACKS,
  ...BLK_ATTACKS,
  ...REGISTER_ATTACKS,
];

export class VirtioAttacks implements AttackPanel {
  readonly #o: PanelOptions;
  #scratch = 0;

  constructor(options: PanelOptions) {
    this.#o = options;
  }

  get #layout(): 'split' | 'packed' {
    return this.#o.driver.queues[0].ring.layout;
  }

  #fits({ layout, deviceId, interfaces }: Attack): boolean {
    const { device, registers } = this.#o;
    return (
      (layout === undefined || layout === this.#layout) &&
      (deviceId === undefined || deviceId === device.deviceId) &&
      (interfaces === undefined || interfaces.includes(registers.interface))
    );
  }

  list(): AttackInfo[] {
    return ATTACKS.filter((attack) => this.#fits(attack)).map(({ id, group, expects, cves, source }) => ({
      id,
      group,
      expects,
      cves,
      source,
    }));
  }

  #hostile(): Hostile {
    if (this.#scratch === 0) this.#scratch = this.#o.allocator.take(SCRATCH_BYTES);
    const { queues, transport } = this.#o.driver;
    const slot = transport instanceof VirtioPciDriver ? transport.slot : undefined;
    return new Hostile({ ...this.#o, queue: queues[0], slot, scratch: this.#scratch });
  }

  async run(id: string): Promise<AttackResult> {
    const { device } = this.#o;
    const attack = ATTACKS.find((entry) => entry.id === id && this.#fits(entry));
    if (attack === undefined) {
      throw new PlatterError('lab.unknown-attack', `this device has no attack called ${id}`, { value: id });
    }
    const firstEvent = device.trace.total;
    // These begin at the beginning of the ring.
    if (attack.layout === 'packed') this.#probeAgain();
    const hostile = this.#hostile();
    const seen = attack.run(hostile);
    await this.#o.quiet();
    const outcome = seen ?? hostile.outcome;
    const { status, error } = device;
    const result = {
      id,
      outcome,
      expected: outcome === attack.expects,
      status,
      answer: hostile.answer,
      error: error === undefined ? null : toPlainError(error),
      firstEvent,
    };
    this.#probeAgain();
    const recovered = await this.#works();
    // The proof went past the driver's own books.
    this.#probeAgain();
    return { ...result, recovered, lastEvent: device.trace.total - 1 };
  }

  #probeAgain(): void {
    this.#o.driver.queues.length = 0;
    this.#o.probeAgain();
  }

  /** Whether the device reads its first sector; where that is not tried, whether it takes its driver. */
  async #works(): Promise<boolean> {
    const { device } = this.#o;
    if (device.isBroken) return false;
    if (device.deviceId !== BLOCK || this.#layout === 'packed') return true;
    const hostile = this.#hostile();
    hostile.submit(hostile.soundChain(BLK_T.in, 0));
    await this.#o.quiet();
    return hostile.answer === BLK_S.ok && hostile.usedIdx === 1;
  }
}
