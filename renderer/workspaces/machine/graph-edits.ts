/** What is done in the drawing, as edits of the text: pieces plugged together, taken out, added. */
import {
  addParam,
  insertOptionAfter,
  insertOptionBefore,
  removeOption,
  removeParam,
  setValue,
  shellQuote,
} from '#engine/qemu/edit.ts';
import type { CommandLine, Option, TextEdit, TopologyNode } from '#engine/qemu/model.ts';
import { deviceParam, type Device } from '#engine/qemu/model/devices.ts';
import { placeDevices, type Bus, type PlacedDevice } from '#engine/qemu/model/placement.ts';
import { nameOf, unattached } from '#engine/qemu/rules/references.ts';
import { bundledSchema } from '#engine/qemu/schema/bundled.ts';
import { deviceProperty, qapiMembers } from '#engine/qemu/schema/schema.ts';
import { childNode, storageModel, type BlockNode, type StorageModel } from '#engine/qemu/storage-model.ts';

type Edits = TextEdit[] | null;

/** The option that a piece stands for; undefined for what the board makes itself. */
export function optionOf(line: CommandLine, node: TopologyNode): Option | undefined {
  const at = node.span?.start;
  if (at === undefined) return undefined;
  return line.options.find((option) => at >= option.span.start && at < option.span.end);
}

function deviceOf(line: CommandLine, node: TopologyNode): PlacedDevice | undefined {
  if (!node.key.startsWith('device:')) return undefined;
  const option = optionOf(line, node);
  return placeDevices(storageModel(line)).devices.find((placed) => placed.device.option === option);
}

/** The name by which a device can take what stands here: of an `if=none` drive, or of the whole `-blockdev`. */
function backEnd(line: CommandLine, node: TopologyNode): string | undefined {
  if (node.half !== 'back' || node.kind === 'missing') return undefined;
  const option = optionOf(line, node);
  const model = storageModel(line);
  const drive = model.drives.find((one) => one.option === option);
  if (drive !== undefined) return drive.if === 'none' ? drive.id : undefined;
  return model.blockdevs.find((one) => one.option === option)?.nodeName;
}

function set(option: Option, key: string, value: string): TextEdit {
  const param = option.params.findLast((one) => one.key === key);
  return param === undefined ? addParam(option, key, value) : setValue(option, param, value);
}

/** Whether a piece can be taken up at all. */
export function canBeDragged(line: CommandLine, node: TopologyNode): boolean {
  return node.kind === 'iothread' || deviceOf(line, node) !== undefined || backEnd(line, node) !== undefined;
}

/** What dropping `from` on `to` does to the text; null when the two do not fit or fit already. */
export function dropEdits(line: CommandLine, from: TopologyNode, to: TopologyNode): Edits {
  if (from.kind === 'iothread') return threadTo(line, from.label, to);
  const moved = deviceOf(line, from);
  if (moved === undefined) {
    const name = backEnd(line, from);
    if (name === undefined) return null;
    return to.half === 'back' && to.kind !== 'missing' ? stack(line, name, to) : bridgeTo(line, to, name);
  }
  const name = backEnd(line, to);
  if (name !== undefined) return bridge([moved.device], name);
  if (to.kind === 'slot') return intoSlot(line, moved, to);
  if (to.kind === 'bus') return onto(line, moved, busNamed(line, to.label));
  const offered = deviceOf(line, to)?.offers.find((bus) => bus.type === moved.device.kind?.bus);
  return onto(line, moved, offered);
}

/** An I/O thread for a device that can have one. */
function threadTo(line: CommandLine, id: string, to: TopologyNode): Edits {
  const device = deviceOf(line, to)?.device;
  if (device === undefined || deviceParam(device, 'iothread')?.value === id) return null;
  const known = deviceProperty(bundledSchema, device.canonical, 'iothread') !== undefined;
  return known ? [set(device.option, 'iothread', id)] : null;
}

/** A block node under another: as the backing file of a format that has one, or as what a filter or raw stands on. */
function stack(line: CommandLine, name: string, to: TopologyNode): Edits {
  const model = storageModel(line);
  const below = model.nodeByName.get(name);
  const upper = model.blockdevs.find((one) => one.nodeName === to.label && one.option === optionOf(line, to));
  if (below === undefined || upper === undefined || below.option === upper.option) return null;
  if (below.option.name !== 'blockdev' || reaches(model, below, upper)) return null;
  const members = qapiMembers(bundledSchema, 'BlockdevOptions', upper.driver);
  const key =
    members?.has('backing') === true ? 'backing' : members?.has('file') === true ? 'file' : undefined;
  if (key === undefined || upper.children.some((c) => c.role === key && c.ref?.value === name)) return null;
  const { option } = upper;
  const old = option.params.filter((p) => p.key === key || p.key.startsWith(`${key}.`));
  // JSON has the old child as one member; the text is where that is better changed.
  if (option.json === true && old.some((p) => p.key !== key)) return null;
  const written = old.find((p) => p.key === key);
  const edits = old.filter((p) => p !== written).map((p) => removeParam(line, option, p));
  edits.push(written === undefined ? addParam(option, key, name) : setValue(option, written, name));
  // A node is defined before it is used.
  if (below.option.span.start > option.span.start) {
    const { argumentSpan, span } = below.option;
    const argument = line.text.slice(argumentSpan?.start ?? span.end, span.end);
    edits.push(insertOptionBefore(line, option, 'blockdev', argument), removeOption(line, below.option));
  }
  return edits;
}

/** Whether `node` stands on `other`, at any depth. */
function reaches(model: StorageModel, node: BlockNode, other: BlockNode, depth = 0): boolean {
  if (node === other) return true;
  return (
    depth < 64 &&
    node.children.some((link) => {
      const child = childNode(model, link);
      return child !== undefined && reaches(model, child, other, depth + 1);
    })
  );
}

function bridgeTo(line: CommandLine, to: TopologyNode, name: string): Edits {
  const device = deviceOf(line, to)?.device;
  if (device !== undefined) return bridge([device], name);
  if (to.kind !== 'missing') return null;
  return bridge(
    storageModel(line).devices.filter((one) => one.drive?.value === to.label),
    name,
  );
}

function bridge(devices: readonly Device[], name: string): Edits {
  const taking = devices.filter((one) => one.kind?.role === 'disk' && one.drive?.value !== name);
  return taking.length === 0 ? null : taking.map((one) => set(one.option, 'drive', name));
}

function busNamed(line: CommandLine, name: string): Bus | undefined {
  return placeDevices(storageModel(line)).buses.find((bus) => bus.name === name);
}

/** Keys that say where on its bus a device sits. */
const PLACES = ['addr', 'scsi-id', 'lun', 'channel', 'unit'];

function onto(line: CommandLine, moved: PlacedDevice, bus: Bus | undefined): Edits {
  const { device } = moved;
  if (bus === undefined || bus === moved.bus || bus.type !== device.kind?.bus || bus.owner === device)
    return null;
  const old = PLACES.flatMap((key) => deviceParam(device, key) ?? []);
  return [
    set(device.option, 'bus', bus.name),
    ...old.map((param) => removeParam(line, device.option, param)),
  ];
}

/** Into a slot; who sits there already comes to where this one was. */
function intoSlot(line: CommandLine, moved: PlacedDevice, to: TopologyNode): Edits {
  const busName = to.key.slice('slot:'.length, to.key.lastIndexOf(':'));
  const bus = busNamed(line, busName);
  if (bus === undefined || moved.device.kind?.bus !== 'PCI' || bus.owner === moved.device) return null;
  if (moved.bus === bus && moved.address === to.label) return null;
  const there = bus.used.get(to.label);
  const edits = placeAt(moved, bus, to.label);
  if (there !== undefined && there !== 'board' && moved.bus !== undefined && moved.address !== undefined)
    edits.push(...placeAt(there, moved.bus, moved.address));
  return edits;
}

function placeAt({ device, bus: old }: PlacedDevice, bus: Bus, address: string): TextEdit[] {
  const [slot, fn] = address.split('.');
  const written = `0x${Number.parseInt(slot, 16).toString(16)}${fn === '0' ? '' : `.${fn}`}`;
  const edits = [set(device.option, 'addr', written)];
  if (bus !== old) edits.push(set(device.option, 'bus', bus.name));
  return edits;
}

/** Takes a piece out: its option, or for a slot the address. Null for what the board or another option makes. */
export function removeEdits(line: CommandLine, node: TopologyNode): Edits {
  const option = optionOf(line, node);
  if (option === undefined) return null;
  if (node.kind === 'slot') {
    const param = option.params.find((one) => one.key === 'addr');
    return param === undefined ? null : [removeParam(line, option, param)];
  }
  if (!['device', 'drive', 'blockdev', 'object'].includes(option.name)) return null;
  return node.kind === 'missing' ? null : [removeOption(line, option)];
}

export const NEW_PIECES = [
  'virtio-blk',
  'virtio-scsi',
  'sata',
  'nvme',
  'cdrom',
  'drive',
  'iothread',
] as const;
export type NewPiece = (typeof NEW_PIECES)[number];

/** Adds a piece at the end of the line, with a free drive or a new one behind it. */
export function addPiece(line: CommandLine, piece: NewPiece): TextEdit[] {
  const options = optionsFor(line, piece);
  const last = line.options.at(-1);
  if (last !== undefined)
    return options.map(([name, argument]) => insertOptionAfter(line, last, name, argument));
  const end = { start: line.text.length, end: line.text.length };
  const begin = line.program === undefined ? 'qemu-system-x86_64 -machine q35' : '';
  const glue = /\S$/.test(line.text) ? ' ' : '';
  return [
    { span: end, text: glue + begin },
    ...options.map(([name, argument]) => ({ span: end, text: ` \\\n  -${name} ${argument}` })),
  ];
}

function optionsFor(line: CommandLine, piece: NewPiece): [name: string, argument: string][] {
  const model = storageModel(line);
  const names = new Set(
    line.options.flatMap((option) =>
      option.params
        .filter((param) => param.key === 'id' || param.key === 'node-name')
        .map((param) => param.value),
    ),
  );
  const fresh = (stem: string): string => {
    let number = 1;
    while (names.has(`${stem}${number}`)) number++;
    names.add(`${stem}${number}`);
    return `${stem}${number}`;
  };
  const out: [string, string][] = [];
  const drive = (): string => {
    const free = unattached(model).map(nameOf);
    if (piece !== 'drive' && piece !== 'cdrom' && free.length > 0) return free[0];
    const id = fresh('drive');
    const kind =
      piece === 'cdrom'
        ? `file=cd.iso,if=none,id=${id},format=raw,media=cdrom,readonly=on`
        : `file=${id}.qcow2,if=none,id=${id},format=qcow2`;
    out.push(['drive', kind]);
    return id;
  };
  const device = (driver: string, stem: string, more = ''): void => {
    const argument = `${driver},drive=${drive()},id=${fresh(stem)}${more}`;
    out.push(['device', shellQuote(argument)]);
  };
  // QEMU itself would take the last channel again and again, even when it is full.
  const channel = (): string => {
    const ide = placeDevices(model).buses.filter((one) => one.type === 'IDE');
    const free = ide.find((one) => one.used.size < (one.units ?? 2));
    return free === undefined ? '' : `,bus=${free.name}`;
  };
  switch (piece) {
    case 'virtio-blk':
      device('virtio-blk-pci', 'disk');
      break;
    case 'virtio-scsi': {
      const bus = placeDevices(model).buses.find(
        (one) => one.type === 'SCSI' && one.owner !== undefined,
      )?.name;
      const made = bus ?? `${fresh('scsi')}.0`;
      if (bus === undefined) out.push(['device', `virtio-scsi-pci,id=${made.slice(0, -2)}`]);
      device('scsi-hd', 'disk', `,bus=${made}`);
      break;
    }
    case 'sata':
      device('ide-hd', 'disk', channel());
      break;
    case 'nvme':
      device('nvme', 'nvme', ',serial=0001');
      break;
    case 'cdrom':
      device('ide-cd', 'cd', channel());
      break;
    case 'drive':
      drive();
      break;
    case 'iothread':
      out.push(['object', `iothread,id=${fresh('iothread')}`]);
  }
  return out;
}
