/** The hostile driver of a virtio disk: which attacks fit its device, its ring and its transport, and the proof that it lives. */
import type { GuestAllocator } from '../../guest/allocator.ts';
import type { GuestBus } from '../../guest/bus.ts';
import { VirtioPciDriver } from '../../guest/virtio-pci.ts';
import { VirtioScsiDriver } from '../../guest/virtio-scsi.ts';
import type { VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import type { TraceRing } from '../../trace/ring.ts';
import { F } from '../../virtio/features.ts';
import { BLK_S, BLK_T } from '../../virtio/blk/protocol.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import type { RegisterMap } from '../details/registers.ts';
import { BLK_ATTACKS } from './blk.ts';
import { DEVICE, type VirtioAttack } from './virtio-attack.ts';
import { Hostile, SCRATCH_BYTES } from './hostile.ts';
import { PACKED_ATTACKS } from './packed.ts';
import type { HostileTarget } from './panel.ts';
import { REGISTER_ATTACKS } from './registers.ts';
import { RING_ATTACKS } from './rings.ts';
import { SCSI_ATTACKS } from './scsi.ts';
import { SCSI_QUEUE_ATTACKS } from './scsi-queues.ts';

export interface VirtioTargetOptions {
  device: VirtioDevice;
  driver: VirtqueueDriver;
  /** The number of the disk at the driver. */
  unit: number;
  registers: RegisterMap;
  bus: GuestBus;
  allocator: GuestAllocator;
  settle: () => void;
  quiet: () => Promise<void>;
  probeAgain: () => void;
}

export const VIRTIO_ATTACKS: readonly VirtioAttack[] = [
  ...RING_ATTACKS,
  ...PACKED_ATTACKS,
  ...BLK_ATTACKS,
  ...SCSI_ATTACKS,
  ...SCSI_QUEUE_ATTACKS,
  ...REGISTER_ATTACKS,
];

/** Peripheral device type (SPC-4, table 141). */
const CDROM = 5;

export class VirtioTarget implements HostileTarget<Hostile> {
  readonly #o: VirtioTargetOptions;
  #scratch = 0;

  constructor(options: VirtioTargetOptions) {
    this.#o = options;
  }

  get trace(): TraceRing {
    return this.#o.device.trace;
  }

  attacks(): readonly VirtioAttack[] {
    const { device, registers, driver, unit } = this.#o;
    const { layout } = driver.queues[0].ring;
    const isCd = driver instanceof VirtioScsiDriver && driver.disks[unit].type === CDROM;
    const fitting = VIRTIO_ATTACKS.filter(
      (attack) =>
        (attack.layout === undefined || attack.layout === layout) &&
        !(isCd && attack.diskOnly === true) &&
        (attack.deviceId === undefined || attack.deviceId === device.deviceId) &&
        (attack.interfaces === undefined || attack.interfaces.includes(registers.interface)),
    );
    if (driver.transport.has(F.VERSION_1)) return fitting;
    // DEVICE_NEEDS_RESET came with version 1 (section 2.1.2).
    return fitting.map((attack) =>
      attack.expects === 'needs-reset' ? { ...attack, expects: 'silent' } : attack,
    );
  }

  hostile(): Hostile {
    if (this.#scratch === 0) this.#scratch = this.#o.allocator.take(SCRATCH_BYTES);
    const { driver } = this.#o;
    const { transport } = driver;
    const slot = transport instanceof VirtioPciDriver ? transport.slot : undefined;
    return new Hostile({ ...this.#o, slot, scratch: this.#scratch });
  }

  quiet(): Promise<void> {
    return this.#o.quiet();
  }

  recover(): void {
    this.#o.driver.queues.length = 0;
    this.#o.probeAgain();
  }

  async works(): Promise<boolean> {
    const { device } = this.#o;
    const hostile = this.hostile();
    const isBlock = device.deviceId === DEVICE.block;
    if (isBlock) hostile.submit(hostile.soundChain(BLK_T.in, 0));
    else hostile.command([0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], { into: hostile.blockSize });
    await this.quiet();
    const { answer } = hostile;
    return !device.isBroken && answer === BLK_S.ok && (!isBlock || hostile.used === 1);
  }
}
