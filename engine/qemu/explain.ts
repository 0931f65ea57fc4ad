/** The line in plain sentences. Keys and parameters only; the words are in `resources/messages/<locale>/explain.json`. */
import type { CommandLine, Span } from './model.ts';
import { placeDevices, type PlacedDevice } from './model/placement.ts';
import { deviceParam } from './model/devices.ts';
import { paramAt } from './model/tree.ts';
import { readBool } from './model/values.ts';
import { unattached } from './rules/references.ts';
import {
  childNode,
  driveOf,
  storageModel,
  type BlockNode,
  type Drive,
  type StorageModel,
} from './storage-model.ts';

export interface Sentence {
  /** Key in `explain.json`. */
  key: string;
  params: Record<string, string>;
  span: Span;
  /** Which half of the drawing it speaks of. */
  half: 'front' | 'back' | 'machine';
}

/** What the line says, one sentence for each thing, in the order machine, devices, back ends. */
export function explain(line: CommandLine): Sentence[] {
  const model = storageModel(line);
  const out: Sentence[] = [];
  const { machine } = model;
  if (machine.typeParam !== undefined) {
    const known = machine.family === 'other' || machine.family === 'none' ? 'other' : machine.family;
    out.push(sentence(`explain.machine.${known}`, { type: machine.type }, machine.typeParam.span, 'machine'));
  }
  if (machine.snapshot) {
    const option = line.options.find((o) => o.name === 'snapshot');
    if (option !== undefined) out.push(sentence('explain.snapshot', {}, option.span, 'machine'));
  }
  for (const placed of placeDevices(model).devices) out.push(...deviceSentences(model, placed));
  const free = new Set(unattached(model));
  for (const drive of model.drives) out.push(...driveSentences(model, drive, free));
  for (const node of model.blockdevs) out.push(...nodeSentences(model, node));
  for (const object of model.objects) {
    if (object.type === 'iothread') {
      out.push(sentence('explain.iothread', { id: object.id ?? '' }, object.span, 'front'));
    } else if (object.type === 'throttle-group') {
      out.push(sentence('explain.throttle-group', { id: object.id ?? '' }, object.span, 'back'));
    }
  }
  return out;
}

function sentence(key: string, params: Record<string, string>, span: Span, half: Sentence['half']): Sentence {
  return { key, params, span, half };
}

function deviceSentences(model: StorageModel, placed: PlacedDevice): Sentence[] {
  const { device } = placed;
  if (device.kind === undefined) return [];
  const out: Sentence[] = [];
  const name = device.id ?? device.driver;
  out.push(
    sentence(
      `explain.device.${device.kind.family}`,
      { name, driver: device.driver },
      device.driverParam?.span ?? device.span,
      'front',
    ),
  );
  if (placed.bus !== undefined) {
    const span = device.bus?.span ?? placed.addressParam?.span ?? device.span;
    const params = { name, bus: placed.bus.name, address: placed.address ?? '' };
    const where: Partial<Record<string, string>> = { PCI: 'pci', SCSI: 'scsi', IDE: 'ide' };
    const kind = where[placed.bus.type];
    if (kind !== undefined && placed.address !== undefined) {
      const said = placed.addressParam === undefined && device.bus === undefined ? '-auto' : '';
      out.push(sentence(`explain.place.${kind}${said}`, scsiParts(params), span, 'front'));
    }
  }
  if (device.drive !== undefined) {
    const target = driveOf(model, device);
    const kind = target === undefined ? 'missing' : 'root' in target ? 'drive' : 'node';
    out.push(
      sentence(`explain.bridge.${kind}`, { name, drive: device.drive.value }, device.drive.span, 'front'),
    );
  }
  for (const key of DEVICE_OPTIONS) {
    const param = deviceParam(device, key);
    if (param === undefined || param.value === '') continue;
    out.push(sentence(`explain.option.${key}`, { name, value: param.value }, param.span, 'front'));
  }
  return out;
}

/** Device options worth a sentence. */
const DEVICE_OPTIONS = [
  'iothread',
  'num-queues',
  'queue-size',
  'bootindex',
  'serial',
  'packed',
  'share-rw',
  'write-cache',
  'disable-legacy',
  'ioeventfd',
  'logical_block_size',
  'physical_block_size',
];

function scsiParts(params: { name: string; bus: string; address: string }): Record<string, string> {
  const parts = params.address.split(':');
  return parts.length === 3 ? { ...params, target: parts[1], lun: parts[2] } : params;
}

function driveSentences(model: StorageModel, drive: Drive, free: ReadonlySet<Drive | BlockNode>): Sentence[] {
  const out: Sentence[] = [];
  const id = drive.id;
  const span = drive.fileParam?.span ?? drive.option.argumentSpan ?? drive.span;
  if (drive.file === undefined || drive.file === '') {
    out.push(sentence('explain.drive.empty', { id }, drive.span, 'back'));
  } else if (drive.format === undefined) {
    out.push(sentence('explain.drive.probed', { id, file: drive.file }, span, 'back'));
  } else {
    out.push(sentence('explain.drive.file', { id, file: drive.file, format: drive.format }, span, 'back'));
  }
  const attach =
    drive.if === 'none'
      ? free.has(drive)
        ? 'none'
        : 'used'
      : drive.if === 'ide' && drive.media === 'cdrom'
        ? 'cdrom'
        : drive.if;
  if (['none', 'used', 'ide', 'cdrom', 'virtio', 'floppy', 'pflash', 'scsi', 'sd'].includes(attach)) {
    const device = model.devices.find((d) => driveOf(model, d) === drive);
    const by = device?.id ?? device?.driver ?? '';
    const params = { id, bus: String(drive.bus), unit: String(drive.unit), device: by };
    // Used by something else than a device: a node over it, which has a sentence of its own.
    if (attach !== 'used' || device !== undefined)
      out.push(
        sentence(`explain.if.${attach}`, params, drive.ifParam?.span ?? drive.option.nameSpan, 'back'),
      );
  }
  for (const key of ['cache', 'aio', 'discard', 'detect-zeroes', 'werror', 'rerror'] as const) {
    const param = paramAt(drive.tree, key);
    if (param !== undefined) {
      const known =
        key === 'cache' && CACHE_MODES.has(param.value)
          ? `explain.cache.${param.value}`
          : `explain.option.${key}`;
      out.push(sentence(known, { name: id, value: param.value }, param.span, 'back'));
    }
  }
  const readonly = paramAt(drive.tree, 'readonly') ?? paramAt(drive.tree, 'read-only');
  if (readBool(readonly?.value) === true && readonly !== undefined) {
    out.push(sentence('explain.option.readonly', { name: id }, readonly.span, 'back'));
  }
  const snapshot = paramAt(drive.tree, 'snapshot');
  if (readBool(snapshot?.value) === true && snapshot !== undefined) {
    out.push(sentence('explain.option.snapshot', { name: id }, snapshot.span, 'back'));
  }
  for (const child of drive.root.children) {
    if (child.node === undefined || child.role === 'file') continue;
    out.push(...nodeSentences(model, child.node));
  }
  return out;
}

const CACHE_MODES = new Set(['none', 'writeback', 'writethrough', 'directsync', 'unsafe']);

function nodeSentences(model: StorageModel, node: BlockNode): Sentence[] {
  const name = node.nodeName ?? node.driver;
  const out: Sentence[] = [];
  if (node.driver === '') return out;
  if (node.layer === 'protocol') {
    out.push(
      sentence(
        'explain.node.protocol',
        { name, driver: node.driver, file: node.filename ?? '' },
        node.span,
        'back',
      ),
    );
  } else {
    const below = node.children.find(
      (c) => c.role === 'file' || c.role === 'image' || c.role.startsWith('children'),
    );
    const under = below === undefined ? undefined : childNode(model, below);
    const on = below?.ref?.value ?? under?.nodeName ?? under?.driver ?? '';
    out.push(
      sentence(`explain.node.${node.layer}`, { name, driver: node.driver, below: on }, node.span, 'back'),
    );
  }
  for (const child of node.children) {
    if (child.cut === true && child.role === 'backing')
      out.push(sentence('explain.node.no-backing', { name }, child.span, 'back'));
    else if (child.role === 'backing') {
      const base = child.ref?.value ?? child.node?.nodeName ?? child.node?.driver ?? '';
      out.push(sentence('explain.node.backing', { name, backing: base }, child.span, 'back'));
    }
    if (child.node !== undefined) out.push(...nodeSentences(model, child.node));
  }
  return out;
}
