/** A virtio device on a virtio-mmio transport of QEMU's microvm, without PCI, and the guest's driver of the transport. */
import { VirtioMmioDriver } from '../../guest/virtio-mmio.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { VirtioMmio } from '../../virtio/transport/mmio.ts';
import { mmioRegisters, type RegisterMap } from '../details/registers.ts';
import type { MachineContext } from './kind.ts';

/** The microvm's transports, one after the other in its memory (`VIRTIO_MMIO_BASE`); the last takes the first device. */
const BASE = 0xfeb0_0000;
const BYTES = 0x200;
const LAST = 23;
/** Each transport has a line of its own there; here they go by the pins of PCI slot 0. */
const PINS = 4;

/**
 * Puts the device behind its transport: number `transport` of the machine, or the next one where the line's machine has none. Answers
 * where its registers are, and their driver.
 */
export function plugVirtioMmio(
  context: MachineContext,
  device: VirtioDevice,
  transport: number | undefined,
): { registers: RegisterMap; driver: VirtioMmioDriver } {
  const { space, interrupts, wanted, nth, bus } = context;
  const number = transport ?? LAST - nth;
  const base = BASE + number * BYTES;
  const mmio = new VirtioMmio(device, {
    legacy: wanted.mmioVersion === 1,
    memory: space,
    line: (level, requestId) => interrupts.line(0, (LAST - number) % PINS, level, requestId),
    onDoorbell: context.wakeDevice,
  });
  space.map(base, mmio);
  return { registers: mmioRegisters(base, wanted.mmioVersion), driver: new VirtioMmioDriver(bus, base) };
}
