/** Attacks through registers: geometry of queues, vectors, the window through configuration space. */
import { CAP, CAP_VENDOR, CFG } from '../../virtio/transport/pci-layout.ts';
import { NO_VECTOR, STATUS } from '../../virtio/features.ts';
import { PCI } from '../../machine/pci/function.ts';
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import type { Hostile } from './hostile.ts';
import { attempt, type VirtioAttack, type VirtioAttackMore } from './virtio-attack.ts';

const attack = (
  id: string,
  expects: AttackOutcome,
  source: string,
  run: VirtioAttack['run'],
  more: VirtioAttackMore = {},
): VirtioAttack => ({
  ...attempt(id, expects, source, () => undefined, {
    group: 'registers',
    interfaces: ['modern'],
    ...more,
  }),
  run,
});

const UP = STATUS.acknowledge | STATUS.driver | STATUS.featuresOk;

/** Sets queue 0 up anew after a reset, with a size and an address of the attacker's choice. */
function geometry(hostile: Hostile, size: number, desc = hostile.queue.ring.addresses.desc): undefined {
  const { driver, device } = hostile.queue.ring.addresses;
  hostile.write('status', 1, 0);
  hostile.write('status', 1, STATUS.acknowledge);
  hostile.write('status', 1, STATUS.acknowledge | STATUS.driver);
  hostile.write('queueSelect', 2, 0);
  hostile.write('queueSize', 2, size);
  hostile.write('queueDesc', 4, desc);
  hostile.write('queueDriver', 4, driver);
  hostile.write('queueDevice', 4, device);
  hostile.write('queueEnable', 2, 1);
  hostile.write('status', 1, UP | STATUS.driverOk);
  hostile.settle();
  return undefined;
}

/** Sizes and addresses of queue 0 are as they were. */
function unchanged(hostile: Hostile, tamper: () => void): AttackOutcome | undefined {
  const look = (): string => {
    const { size, desc, driver, device, enabled, ring } = hostile.device.queues[0];
    return [size, desc, driver, device, enabled, ring?.size].join();
  };
  const before = look();
  tamper();
  hostile.settle();
  return look() === before ? undefined : 'served';
}

/** Offset of the capability that is a window through configuration space, 0 for none. */
function windowCapability({ bus, slot }: Hostile): number {
  if (slot === undefined) return 0;
  for (let at = bus.configRead(slot, PCI.capabilities, 1), left = 48; at !== 0 && left > 0; left--) {
    if (bus.configRead(slot, at, 1) === CAP_VENDOR && bus.configRead(slot, at + CAP.type, 1) === CFG.pci)
      return at;
    at = bus.configRead(slot, at + 1, 1);
  }
  return 0;
}

/** Above every guest's memory, below the devices. */
const NOWHERE = 0xe000_0000;

export const REGISTER_ATTACKS: readonly VirtioAttack[] = [
  attack('size-not-power', 'needs-reset', '2.7', (hostile) => geometry(hostile, 3), {
    cves: ['CVE-2017-17381'],
    interfaces: ['modern', 'mmio'],
    layout: 'split',
  }),
  attack('queue-outside', 'needs-reset', '2.7', (hostile) => geometry(hostile, 8, NOWHERE), {
    interfaces: ['modern', 'mmio'],
  }),
  attack(
    'resize-ready',
    'ignored',
    '4.1.4.3.2',
    (hostile) =>
      unchanged(hostile, () => {
        hostile.write('queueSelect', 2, 0);
        hostile.write('queueSize', 2, 4);
      }),
    { interfaces: ['modern', 'mmio', 'mmio-legacy', 'legacy'] },
  ),
  attack(
    'size-zero',
    'ignored',
    '4.1.4.3.2',
    (hostile) =>
      unchanged(hostile, () => {
        hostile.write('queueSelect', 2, 0);
        hostile.write('queueSize', 2, 0);
      }),
    { interfaces: ['modern', 'mmio', 'mmio-legacy', 'legacy'], cves: ['CVE-2017-17381'] },
  ),
  attack(
    'no-such-vector',
    'ignored',
    '4.1.5.1.2.2',
    (hostile) => {
      hostile.write('queueSelect', 2, 0);
      hostile.write('queueVector', 2, 0x7ff);
      return hostile.read('queueVector', 2) === NO_VECTOR ? 'ignored' : undefined;
    },
    { interfaces: ['modern', 'legacy'] },
  ),
  attack(
    'no-such-queue',
    'ignored',
    '4.1.4.3',
    (hostile) =>
      unchanged(hostile, () => {
        hostile.write('queueSelect', 2, 0xfff0);
        hostile.write('queueSize', 2, 8);
        hostile.write('queueDesc', 4, 0);
        hostile.write('queueEnable', 2, 1);
      }),
    { interfaces: ['modern'] },
  ),
  attack(
    'doorbell-nobody',
    'ignored',
    '4.1.5.2',
    (hostile) =>
      unchanged(hostile, () => {
        hostile.write('notify', 2, 0xfff0);
      }),
    { interfaces: ['modern', 'mmio', 'mmio-legacy', 'legacy'] },
  ),
  attack('window-length', 'ignored', '4.1.4.9.1', (hostile) => {
    const at = windowCapability(hostile);
    const { bus, slot } = hostile;
    if (at === 0 || slot === undefined) return 'ignored';
    bus.configWrite(slot, at + CAP.bar, 1, 4);
    bus.configWrite(slot, at + CAP.offset, 4, 0xffff_fffe);
    bus.configWrite(slot, at + CAP.length, 4, 3);
    bus.configWrite(slot, at + CAP.data, 4, 0);
    hostile.settle();
    return undefined;
  }),
  attack(
    'legacy-outside',
    'needs-reset',
    '4.1.4.8',
    (hostile) => {
      hostile.write('queueSelect', 2, 0);
      // A page number: the queue lies far above the guest's memory.
      hostile.write('queueDesc', 4, 0x7fff_ffff);
      hostile.settle();
      return undefined;
    },
    { interfaces: ['legacy', 'mmio-legacy'] },
  ),
];
