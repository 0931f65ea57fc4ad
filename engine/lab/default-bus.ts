/** The bus that a device comes to without `bus=`: the one that QEMU finds first when it looks for a bus of the device's type. */
import type { CommandLine, Option } from '../qemu/model.ts';
import { placeDevices } from '../qemu/model/placement.ts';
import { storageModel } from '../qemu/storage-model.ts';

/** Place on the line of what the machine brings along itself. */
export const NO_OPTION = -1;

export interface DefaultBus {
  /** The `-device` whose bus it is; undefined for the machine's own. */
  controller: Option | undefined;
  /** Which of its buses: an IDE channel, a port of AHCI. */
  bus: number;
}

/** The number of the virtio-mmio transport that a `-device` sits on; undefined when the machine has none for it. */
export function mmioTransport(line: CommandLine, option: Option): number | undefined {
  const { devices } = placeDevices(storageModel(line));
  const name = devices.find(({ device }) => device.option === option)?.bus?.name ?? '';
  const number = /^virtio-mmio-bus\.(\d+)$/.exec(name)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Undefined when the machine has no such bus. */
export function defaultBus(line: CommandLine, disk: Option): DefaultBus | undefined {
  const { devices } = placeDevices(storageModel(line));
  const bus = devices.find(({ device }) => device.option === disk)?.bus;
  if (bus === undefined) return undefined;
  const owner = devices.find(({ device }) => device === bus.owner);
  return owner === undefined
    ? { controller: undefined, bus: Number(/\.(\d+)$/.exec(bus.name)?.[1] ?? 0) }
    : { controller: owner.device.option, bus: owner.offers.indexOf(bus) };
}
