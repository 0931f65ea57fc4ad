/** Attacks through registers: geometry of queues, vectors, the window through configuration space. */
import { CAP, CAP_VENDOR, CFG } from '../../virtio/transport/pci-layout.ts';
import { NO_VECTOR } from '../../virtio/features.ts';
import { PCI } from '../../machine/pci/function.ts';
import type { Attack } from './attack.ts';
import type { Hostile } from './hostile.ts';

const attack = (
  id: string,
  expects: Attack['expects'],
  source: string,
  run: Attack['run'],
  cves: readonly string[] = [],
): Attack => ({ id, group: 'registers', interfaces: ['modern'], expects, cves, source, run });

/** Sets queue 0 up anew after a reset, with a size of the attacker's choice. */
function geometry(hostile: Hostile, size: number): void {
  const { desc, driver, device } = hostile.queue.ring.addresses;
  hostile.write('status', 1, 0);
  hostile.write('status', 1, 1);
  hostile.write('status', 1, 3);
  hostile.write('queueSelect', 2, 0);
  hostile.write('queueSize', 2, size);
  hostile.write('queueDesc', 4, desc);
  hostile.write('queueDriver', 4, driver);
  hostile.write('queueDevice', 4, device);
  hostile.write('queueEnable', 2, 1);
  hostile.settle();
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

export const REGISTER_ATTACKS: readonly Attack[] = [
  attack(
    'size-not-power',
    'needs-reset',
    'virtio 1.2, 2.7',
    (hostile) => {
      geometry(hostile, 3);
      return undefined;
    },
    ['CVE-2017-17381'],
  ),
  attack('resize-ready', 'ignored', 'virtio 1.2, 4.1.4.3.2', (hostile) => {
    const before = hostile.device.queues[0].ring?.size;
    hostile.write('queueSelect', 2, 0);
    hostile.write('queueSize', 2, 4);
    hostile.settle();
    return hostile.device.queues[0].ring?.size === before ? undefined : 'served';
  }),
  attack('no-such-vector', 'ignored', 'virtio 1.2, 4.1.5.1.2.2', (hostile) => {
    hostile.write('queueSelect', 2, 0);
    hostile.write('queueVector', 2, 0x7ff);
    return hostile.read('queueVector', 2) === NO_VECTOR ? 'ignored' : undefined;
  }),
  attack('no-such-queue', 'ignored', 'virtio 1.2, 4.1.4.3', (hostile) => {
    hostile.write('queueSelect', 2, 0xfff0);
    hostile.write('queueSize', 2, 8);
    hostile.write('queueEnable', 2, 1);
    hostile.settle();
    return undefined;
  }),
  attack('window-length', 'ignored', 'virtio 1.2, 4.1.4.9.1', (hostile) => {
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
];
