/** `-device`: the front ends. */
import type { CommandLine, Option, Param, Span } from '../model.ts';
import { canonicalDriver, deviceKind, type DeviceKind } from './device-kinds.ts';
import { keyTree, paramAt, type KeyTree } from './tree.ts';

export interface Device {
  option: Option;
  /** As written. */
  driver: string;
  driverParam?: Param;
  /** Aliases resolved: `virtio-blk` is `virtio-blk-pci`, `ide-drive`… */
  canonical: string;
  /** What kind of storage device it is; undefined when it is none that is known here. */
  kind?: DeviceKind;
  id?: string;
  idParam?: Param;
  /** `drive=` (a drive's id or a node-name); one without a value is none. */
  drive?: Param;
  bus?: Param;
  tree: KeyTree;
  span: Span;
}

/** Every `-device` of the line, in order. */
export function readDevices(line: CommandLine): Device[] {
  return line.options.filter((o) => o.name === 'device').map(readDevice);
}

function readDevice(option: Option): Device {
  const tree = keyTree(option.params);
  const driver = paramAt(tree, 'driver');
  const id = paramAt(tree, 'id');
  const drive = paramAt(tree, 'drive');
  const canonical = canonicalDriver(driver?.value ?? '');
  return {
    option,
    driver: driver?.value ?? '',
    driverParam: driver,
    canonical,
    kind: deviceKind(canonical),
    id: id?.value,
    idParam: id,
    drive: drive?.value === '' ? undefined : drive,
    bus: paramAt(tree, 'bus'),
    tree,
    span: option.span,
  };
}

/** The parameter `key` of a device. */
export function deviceParam(device: Device, key: string): Param | undefined {
  return paramAt(device.tree, key);
}
