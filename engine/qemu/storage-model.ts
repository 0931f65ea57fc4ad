/**
 * What a command line means for storage: one model of machine, drives, block nodes, devices and objects for every spelling
 * (`-drive`, `-hda`, `-cdrom`, `-blockdev`, `-device`, JSON). Lint, topology, explanation, conversion and the lab read it.
 */
import type { CommandLine } from './model.ts';
import { readBlockdevs, type BlockNode } from './model/blockdev.ts';
import { readDevices, type Device } from './model/devices.ts';
import { readDrives, type Drive } from './model/drives.ts';
import { readMachine, type Machine } from './model/machine.ts';
import { readObjects, type QemuObject } from './model/objects.ts';

export type { BlockNode, BlockChild } from './model/blockdev.ts';
export type { Device } from './model/devices.ts';
export type { Drive, DriveInterface } from './model/drives.ts';
export type { Machine } from './model/machine.ts';
export type { QemuObject } from './model/objects.ts';

export interface StorageModel {
  line: CommandLine;
  machine: Machine;
  /** `-drive` and the short options, in order. */
  drives: Drive[];
  /** Top nodes of `-blockdev`, in order. */
  blockdevs: BlockNode[];
  /** Every `-device`. */
  devices: Device[];
  /** Every `-object`. */
  objects: QemuObject[];
  driveById: Map<string, Drive>;
  nodeByName: Map<string, BlockNode>;
  deviceById: Map<string, Device>;
  objectById: Map<string, QemuObject>;
}

const models = new WeakMap<CommandLine, StorageModel>();

/** The model of a line; computed once for each. */
export function storageModel(line: CommandLine): StorageModel {
  const known = models.get(line);
  if (known !== undefined) return known;
  const machine = readMachine(line);
  const skip = line.tooLarge === true;
  const drives = skip ? [] : readDrives(line, machine);
  const blockdevs = skip ? [] : readBlockdevs(line);
  const devices = skip ? [] : readDevices(line);
  const objects = skip ? [] : readObjects(line);
  const model: StorageModel = {
    line,
    machine,
    drives,
    blockdevs,
    devices,
    objects,
    driveById: firstById(drives, (d) => d.id),
    nodeByName: new Map(),
    deviceById: firstById(devices, (d) => d.id),
    objectById: firstById(objects, (o) => o.id),
  };
  for (const node of [...blockdevs, ...drives.map((d) => d.root)]) nameNodes(model, node);
  models.set(line, model);
  return model;
}

function firstById<T>(items: readonly T[], id: (item: T) => string | undefined): Map<string, T> {
  const map = new Map<string, T>();
  for (const item of items) {
    const key = id(item);
    if (key !== undefined && !map.has(key)) map.set(key, item);
  }
  return map;
}

function nameNodes(model: StorageModel, node: BlockNode): void {
  if (node.nodeName !== undefined && !model.nodeByName.has(node.nodeName))
    model.nodeByName.set(node.nodeName, node);
  for (const child of node.children) if (child.node !== undefined) nameNodes(model, child.node);
}

/** All devices of the line, in order. */
export function devices(line: CommandLine): Device[] {
  return storageModel(line).devices;
}

/** All drives of the line (`-drive` and the short options), in order. */
export function drives(line: CommandLine): Drive[] {
  return storageModel(line).drives;
}

/** What a device's `drive=` names: a drive by its id, else a block node by its node-name. */
export function driveOf(model: StorageModel, device: Device): Drive | BlockNode | undefined {
  if (device.drive === undefined) return undefined;
  return model.driveById.get(device.drive.value) ?? model.nodeByName.get(device.drive.value);
}

/** The top block node behind a device: what the guest's requests reach first. */
export function rootNodeOf(model: StorageModel, device: Device): BlockNode | undefined {
  const found = driveOf(model, device);
  return found === undefined || !('root' in found) ? found : found.root;
}

/** A child's node, whether it stands inline or is referred to by its node-name. */
export function childNode(model: StorageModel, child: BlockNode['children'][number]): BlockNode | undefined {
  return child.node ?? (child.ref === undefined ? undefined : model.nodeByName.get(child.ref.value));
}

/** The iothreads of the line by id. */
export function iothreads(line: CommandLine): QemuObject[] {
  return storageModel(line).objects.filter((o) => o.type === 'iothread');
}
