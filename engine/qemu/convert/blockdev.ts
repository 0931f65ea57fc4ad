/**
 * `-drive` → `-blockdev` + `-device`. What `-drive` does in one breath becomes visible: the block nodes, the device, and which
 * of the two each option belongs to. Source: blockdev.c (`blockdev_init`, `drive_new`), block.c (`bdrv_parse_cache_mode`).
 */
import { addParam, applyEdits, setValue } from '../edit.ts';
import type { CommandLine, Option, TextEdit } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { parseFilename } from '../model/filename.ts';
import { readBool } from '../model/values.ts';
import { driveReferences } from '../rules/references.ts';
import { storageModel, type Drive, type StorageModel } from '../storage-model.ts';
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
  for (const drive of model.drives) {
    const reason = hindrance(model, drive);
    if (reason !== undefined)
      notes.push({ key: `convert.kept.${reason}`, params: { drive: drive.id }, span: drive.span });
    else edits.push(...convertDrive(model, drive, names, notes));
  }
  return { text: applyEdits(line.text, edits), notes };
}

function hindrance(model: StorageModel, drive: Drive): string | undefined {
  if (drive.option.word?.variables !== undefined) return 'variable';
  if (drive.snapshot) return 'snapshot';
  if (drive.file === undefined || drive.file === '') return 'empty';
  if (drive.file.startsWith('json:')) return 'json';
  if (drive.option.params.some((p) => /^(?:throttling\.|bps|iops|group$)/.test(p.key))) return 'throttling';
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

function protocolPairs(drive: Drive, notes: ConversionNote[]): Pair[] {
  const param = drive.fileParam;
  if (param !== undefined && param.key !== 'file') {
    return drive.option.params.filter((p) => p.key.startsWith('file.')).map((p): Pair => [p.key, p.value]);
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

/** NBD and curl file names as options; undefined for protocols whose options the file name does not show. */
function networkPairs(driver: string, name: string): Pair[] | undefined {
  if (/^(?:https?|ftps?)$/.test(driver))
    return [
      ['driver', driver],
      ['url', name],
    ];
  if (driver !== 'nbd') return undefined;
  const url = /^nbd(?:\+tcp)?:\/\/([^:/?]+)(?::(\d+))?(?:\/([^?]*))?$/.exec(name);
  const old = /^nbd:([^:]+):(\d+)(?::exportname=(.*))?$/.exec(name);
  const unix = /^nbd:unix:([^:]+)(?::exportname=(.*))?$/.exec(name);
  const tcp = url ?? old;
  const target = unix === null ? tcp?.[3] : unix[2];
  const tail: Pair[] = target === undefined || target === '' ? [] : [['export', target]];
  if (unix !== null) return [['driver', 'nbd'], ['server.type', 'unix'], ['server.path', unix[1]], ...tail];
  if (tcp === null) return undefined;
  return [
    ['driver', 'nbd'],
    ['server.type', 'inet'],
    ['server.host', tcp[1]],
    ['server.port', tcp[2] ?? '10809'],
    ...tail,
  ];
}

function convertDrive(
  model: StorageModel,
  drive: Drive,
  names: Set<string>,
  notes: ConversionNote[],
): TextEdit[] {
  const get = (key: string): string | undefined => drive.option.params.find((p) => p.key === key)?.value;
  const name = nodeNameOf(drive) ?? freshName(drive.id, names);
  const cache = CACHE[get('cache') ?? ''];
  const node: Pair[] = [
    ['driver', drive.format ?? 'raw'],
    ['node-name', name],
  ];
  if (drive.format === undefined)
    notes.push({ key: 'convert.changed.format', params: { drive: drive.id }, span: drive.span });
  const file = protocolPairs(drive, notes);
  const aio = get('aio');
  if (aio !== undefined) file.push(['file.aio', aio]);
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
  for (const { key, value, form } of drive.option.params) {
    if (HANDLED.has(key) || key.startsWith('file.') || key.startsWith('cache.') || form.startsWith('short'))
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
