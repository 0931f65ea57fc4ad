/**
 * `-drive` → `-blockdev` + `-device`. What `-drive` does in one breath becomes visible: the block nodes, the device, and which
 * of the two each option belongs to. Source: blockdev.c (`blockdev_init`, `drive_new`), block.c (`bdrv_parse_cache_mode`).
 */
import { addParam, applyEdits, removeSets, setParams, setValue } from '../edit.ts';
import type { CommandLine, Option, TextEdit } from '../model.ts';
import { layerOf } from '../model/blockdev.ts';
import { deviceParam } from '../model/devices.ts';
import { parseFilename } from '../model/filename.ts';
import { readBool } from '../model/values.ts';
import { driveReferences } from '../rules/references.ts';
import { storageModel, type Drive, type StorageModel } from '../storage-model.ts';
import { isLimit, limitsOf } from './limits.ts';
import { networkPairs } from './network.ts';
import type { Conversion, ConversionNote } from './notes.ts';
import { writeOption, type Pair } from './write.ts';

const MAX_NODE_NAME = 31;

/** `cache=` as its three switches. */
const CACHE: Readonly<Record<string, { direct: boolean; noFlush: boolean; writeCache: boolean }>> = {
  none: { direct: true, noFlush: false, writeCache: true },
  off: { direct: true, noFlush: false, writeCache: true },
  writeback: { direct: false, noFlush: false, writeCache: true },
  writethrough: { direct: false, noFlush: false, writeCache: false },
  directsync: { direct: true, noFlush: false, writeCache: false },
  unsafe: { direct: false, noFlush: true, writeCache: true },
};

/** Options of a drive that the conversion knows; all others go to the block driver as they are. */
const HANDLED = new Set([
  'if',
  'id',
  'file',
  'format',
  'driver',
  'bus',
  'unit',
  'index',
  'media',
  'cache',
  'aio',
  'readonly',
  'read-only',
  'werror',
  'rerror',
  'copy-on-read',
  'snapshot',
  'node-name',
  'discard',
  'detect-zeroes',
]);

/** The line with its drives as block nodes. Drives that cannot be converted stay, with a note that says why. */
export function toBlockdev(line: CommandLine): Conversion {
  const model = storageModel(line);
  const edits: TextEdit[] = [];
  const notes: ConversionNote[] = [];
  const names = new Set(model.nodeByName.keys());
  const groups = new Set<string>();
  for (const drive of model.drives) {
    const reason = hindrance(model, drive);
    if (reason !== undefined)
      notes.push({ key: `convert.kept.${reason}`, params: { drive: drive.id }, span: drive.span });
    else edits.push(...convertDrive(model, drive, names, groups, notes), ...removeSets(line, [drive.option]));
  }
  return { text: applyEdits(line.text, edits), notes };
}

function hindrance(model: StorageModel, drive: Drive): string | undefined {
  if (drive.option.word?.variables !== undefined) return 'variable';
  if (drive.snapshot) return 'snapshot';
  if (drive.file === undefined || drive.file === '') return 'empty';
  if (drive.file.startsWith('json:') && (jsonPairs(drive) === undefined || drive.fileParam?.key !== 'file'))
    return 'json';
  if (!['none', 'ide', 'virtio', 'floppy'].includes(drive.if)) return 'board';
  const users = driveReferences(model).filter((r) => r.target === drive);
  return drive.if === 'none' && users.length === 0 && nodeNameOf(drive) === undefined ? 'unused' : undefined;
}

function nodeNameOf(drive: Drive): string | undefined {
  return drive.root.nodeName;
}

function freshName(wanted: string, names: Set<string>): string {
  const stem = wanted.slice(0, MAX_NODE_NAME);
  let name = stem;
  for (let i = 2; names.has(name); i++) name = `${stem.slice(0, MAX_NODE_NAME - 3)}-${String(i)}`;
  names.add(name);
  return name;
}

/** A `json:` name as the members of the top node; undefined when the drive's `format=` names another driver, as QEMU refuses. */
function jsonPairs(drive: Drive): Pair[] | undefined {
  const { options } = parseFilename(drive.file ?? '');
  if (options.driver === undefined || options.driver !== (drive.format ?? options.driver)) return undefined;
  return Object.entries(options).filter(([key]) => key !== 'node-name');
}

function protocolPairs(drive: Drive, notes: ConversionNote[]): Pair[] {
  if (drive.file?.startsWith('json:') === true)
    return (jsonPairs(drive) ?? []).filter(([key]) => key !== 'driver');
  const param = drive.fileParam;
  if (param !== undefined && param.key !== 'file') {
    return setParams(drive.option)
      .filter((p) => p.key.startsWith('file.'))
      .map((p): Pair => [p.key, p.value]);
  }
  const parsed = parseFilename(drive.file ?? '');
  const driver = parsed.driver ?? 'file';
  if (driver === 'file' || driver === 'host_device' || driver === 'host_cdrom') {
    return [
      ['file.driver', driver],
      ['file.filename', parsed.options.filename ?? ''],
    ];
  }
  const url = networkPairs(driver, drive.file ?? '');
  if (url === undefined)
    notes.push({ key: 'convert.changed.protocol', params: { drive: drive.id, driver }, span: drive.span });
  return (
    url ?? [
      ['driver', driver],
      ['filename', drive.file ?? ''],
    ]
  ).map(([key, value]): Pair => [`file.${key}`, value]);
}

function convertDrive(
  model: StorageModel,
  drive: Drive,
  names: Set<string>,
  groups: Set<string>,
  notes: ConversionNote[],
): TextEdit[] {
  const get = (key: string): string | undefined => drive.option.params.findLast((p) => p.key === key)?.value;
  const name = nodeNameOf(drive) ?? freshName(drive.id, names);
  const cache = CACHE[get('cache') ?? ''];
  const json = drive.file?.startsWith('json:') === true ? jsonPairs(drive) : undefined;
  const format = drive.format ?? json?.find(([key]) => key === 'driver')?.[1];
  const node: Pair[] = [
    ['driver', format ?? 'raw'],
    ['node-name', name],
  ];
  if (format === undefined)
    notes.push({ key: 'convert.changed.format', params: { drive: drive.id }, span: drive.span });
  const file = protocolPairs(drive, notes);
  const aio = get('aio');
  if (aio !== undefined) file.push([layerOf(format ?? '') === 'protocol' ? 'aio' : 'file.aio', aio]);
  node.push(...file);
  if (drive.readOnly) node.push(['read-only', 'on']);
  const direct = readBool(get('cache.direct')) ?? cache?.direct;
  const noFlush = readBool(get('cache.no-flush')) ?? cache?.noFlush;
  // The inline file node inherits both from here.
  if (direct ?? false) node.push(['cache.direct', 'on']);
  if (noFlush ?? false) node.push(['cache.no-flush', 'on']);
  const discard = get('discard');
  node.push([
    'discard',
    discard === undefined ? 'ignore' : discard === 'on' ? 'unmap' : discard === 'off' ? 'ignore' : discard,
  ]);
  if (discard === undefined) node.pop();
  const detect = get('detect-zeroes');
  if (detect !== undefined) node.push(['detect-zeroes', detect]);
  for (const { key, value, form } of setParams(drive.option)) {
    if (
      HANDLED.has(key) ||
      isLimit(key) ||
      key.startsWith('file.') ||
      key.startsWith('cache.') ||
      form.startsWith('short')
    )
      continue;
    node.push([key, value]);
  }
  const options = [writeOption('blockdev', node)];
  let top = name;
  if ((readBool(get('copy-on-read')) ?? false) && !drive.readOnly) {
    top = freshName(`${drive.id}-cor`, names);
    options.push(
      writeOption('blockdev', [
        ['driver', 'copy-on-read'],
        ['node-name', top],
        ['file', name],
      ]),
    );
  }
  const limits = limitsOf(drive);
  if (limits !== undefined) {
    const group = limits.group ?? freshName(`${drive.id}-limits`, names);
    const node = freshName(`${drive.id}-throttle`, names);
    // Of several drives in one group the limits of the last one hold.
    if (!groups.has(group))
      options.unshift(writeOption('object', groupPairs(model, group, limits.pairs), 'qom-type'));
    groups.add(group);
    options.push(
      writeOption('blockdev', [
        ['driver', 'throttle'],
        ['node-name', node],
        ['throttle-group', group],
        ['file', top],
      ]),
    );
    top = node;
  }
  const front: Pair[] = [];
  const werror = get('werror');
  const rerror = get('rerror');
  if (werror !== undefined) front.push(['werror', werror]);
  if (rerror !== undefined) front.push(['rerror', rerror]);
  const writeCache = readBool(get('cache.writeback')) ?? cache?.writeCache;
  if (!(writeCache ?? true)) front.push(['write-cache', 'off']);
  const edits: TextEdit[] = [];
  if (drive.if === 'none') {
    for (const { device, param, target } of driveReferences(model)) {
      if (target !== drive) continue;
      if (param.value !== top) edits.push(setValue(device.option, param, top));
      for (const [key, value] of front)
        if (deviceParam(device, key) === undefined) edits.push(addParam(device.option, key, value));
    }
  } else {
    options.push(writeOption('device', [...ownDevice(model, drive), ['drive', top], ...front], 'driver'));
  }
  edits.push({ span: drive.option.span, text: options.join(separatorOf(model.line, drive.option)) });
  return edits;
}

/** The object of a throttle group: its limits are those of the last drive that names it. */
function groupPairs(model: StorageModel, group: string, own: Pair[]): Pair[] {
  const last = model.drives.map((d) => limitsOf(d)).findLast((l) => l?.group === group);
  return [['qom-type', 'throttle-group'], ['id', group], ...(last?.pairs ?? own)];
}

/** The device that the board would make. */
function ownDevice(model: StorageModel, drive: Drive): Pair[] {
  const bus = `ide.${String(drive.bus)}`;
  switch (drive.if) {
    case 'ide':
      return [
        ['driver', drive.media === 'cdrom' ? 'ide-cd' : 'ide-hd'],
        ['bus', bus],
        ['unit', String(drive.unit)],
      ];
    case 'floppy':
      return [
        ['driver', 'floppy'],
        ['unit', String(drive.unit)],
      ];
    default:
      return [['driver', model.machine.family === 'microvm' ? 'virtio-blk-device' : 'virtio-blk-pci']];
  }
}

/** What stands between this option and its neighbour. */
function separatorOf(line: CommandLine, option: Option): string {
  const index = line.options.indexOf(option);
  const before = line.options[index - 1];
  const after = line.options[index + 1];
  const gap =
    before !== undefined
      ? line.text.slice(before.span.end, option.span.start)
      : after !== undefined
        ? line.text.slice(option.span.end, after.span.start)
        : ' ';
  return /^(?:\s|\\\r?\n)+$/.test(gap) ? gap : ' ';
}
