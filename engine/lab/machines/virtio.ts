/** A virtio device on its transport, with its driver, as the laboratory's hardware. */
import type { VirtqueueDriver } from '../../guest/virtqueue-driver.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import type { VirtioPci } from '../../virtio/transport/pci.ts';
import { virtioDetails, type VirtioParts } from '../details/device.ts';
import { pciRegisters, type RegisterMap } from '../details/registers.ts';
import { HostilePanel } from '../attacks/panel.ts';
import { VirtioTarget } from '../attacks/virtio.ts';
import { queueView, vectorViews } from '../views.ts';
import type { LabDevice, LabHardware, MachineContext } from './kind.ts';

/**
 * `transport`: its PCI function, or where its registers are. The driver's queues need not be set up
 * yet. `details`: what the Device view shows beside what every virtio device has. `context`: where it is, and its disks.
 */
export function virtioHardware(
  device: VirtioDevice,
  transport: VirtioPci | RegisterMap,
  driver: VirtqueueDriver,
  details: Pick<VirtioParts, 'config' | 'requestFields'>,
  context: MachineContext,
): LabHardware {
  const pci = 'pci' in transport ? transport : undefined;
  const registers = pci === undefined ? (transport as RegisterMap) : pciRegisters(pci);
  const sections = virtioDetails({ device, driver, transport, thread: context.thread, ...details });
  const viewOf = (name: string, unit: number): LabDevice => ({
    pci: pci?.pci,
    get queueCount() {
      return driver.queues.length;
    },
    queue: (nth) =>
      driver.queues[nth] === undefined ? null : queueView(device, driver, driver.queues[nth].index),
    vectors: () => (pci === undefined ? [] : vectorViews(device, pci)),
    attacks: new HostilePanel(new VirtioTarget({ ...context, device, driver, unit, registers })),
    details: sections,
    summary: () => ({
      name,
      virtioId: device.deviceId,
      status: device.status,
      featuresOffered: device.offered,
      featuresAcked: device.acked,
      configGeneration: device.configGeneration,
      isr: device.isr,
    }),
  });
  // The device's events carry the ids of the driver's requests.
  const probed = (): void => {
    // Messages of the probe itself are over.
    pci?.msix?.counts.fill(0);
    for (const { index, ring } of driver.queues) device.queues[index].requestOf = ring.requestOf;
  };
  return {
    step: () => device.step(),
    get error() {
      return device.error;
    },
    drivers: [driver],
    disks: context.disks.map(({ wanted }, unit) => ({ driver, unit, device: viewOf(wanted.label, unit) })),
    probed,
  };
}
