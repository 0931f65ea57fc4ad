/** `-drive` and the short options: the back ends in their older spelling. Source: blockdev.c (`drive_new`). */
import type { CommandLine, Option, Param, Span, Word } from '../model.ts';
import { layerOf, protocolNode, readNode, type BlockNode } from './blockdev.ts';
import type { Machine } from './machine.ts';
import { keyTree, paramAt, type KeyTree } from './tree.ts';
import { own, readBool, readNumber } from './values.ts';

export type DriveInterface = 'none' | 'ide' | 'scsi' | 'floppy' | 'pflash' | 'mtd' | 'sd' | 'virtio' | 'xen';

export interface Drive {
  option: Option;
  /** `id=`, or the name that QEMU gives: `ide0-hd0`, `virtio0`, `none0`. */
  id: string;
  /** Set when `id=` is written. */
  idParam?: Param;
  if: DriveInterface;
  ifParam?: Param;
  file?: string;
  fileParam?: Param;
  /** `format=` or `driver=`; undefined when QEMU has to probe. */
  format?: string;
  formatParam?: Param;
  media: 'disk' | 'cdrom';
  bus: number;
  unit: number;
  index?: number;
  readOnly: boolean;
  /** Writes go to a temporary file that is thrown away. */
  snapshot: boolean;
  root: BlockNode;
  tree: KeyTree;
  span: Span;
}

const INTERFACES = new Set<string>(['none', 'ide', 'scsi', 'floppy', 'pflash', 'mtd', 'sd', 'virtio', 'xen']);

/** Options of a `-drive` that belong to it and not to the block driver. */
export const DRIVE_KEYS = new Set([
  'if',
  'id',
  'bus',
  'unit',
  'index',
  'media',
  'snapshot',
  'file',
  'format',
  'driver',
  'cache',
  'aio',
  'readonly',
  'werror',
  'rerror',
  'copy-on-read',
  'discard',
  'detect-zeroes',
  'node-name',
  'group',
  'stats-intervals',
  'stats-account-invalid',
  'stats-account-failed',
]);

/** Every drive of the line, in the order in which QEMU makes them. */
export function readDrives(line: CommandLine, machine: Machine): Drive[] {
  const found: Drive[] = [];
  const place = new Places(machine);
  for (const word of line.images) found.push(shortDrive(positional(word), 'ide', 'disk', 0, machine, place));
  for (const option of line.options) {
    const short = own(SHORT, option.name);
    if (short !== undefined) {
      if (option.argument === undefined) continue;
      found.push(
        shortDrive(option, short.if ?? machine.defaultInterface, short.media, short.index, machine, place),
      );
    } else if (option.name === 'drive') {
      found.push(longDrive(option, machine, place));
    }
  }
  return found;
}

const SHORT: Record<string, { if?: DriveInterface; media: 'disk' | 'cdrom'; index: number } | undefined> = {
  hda: { media: 'disk', index: 0 },
  hdb: { media: 'disk', index: 1 },
  hdc: { media: 'disk', index: 2 },
  hdd: { media: 'disk', index: 3 },
  cdrom: { media: 'cdrom', index: 2 },
  fda: { if: 'floppy', media: 'disk', index: 0 },
  fdb: { if: 'floppy', media: 'disk', index: 1 },
  sd: { if: 'sd', media: 'disk', index: 0 },
  mtdblock: { if: 'mtd', media: 'disk', index: -1 },
  pflash: { if: 'pflash', media: 'disk', index: -1 },
};

function positional(word: Word): Option {
  return {
    name: 'hda',
    nameSpan: { start: word.span.start, end: word.span.start },
    span: word.span,
    argument: word.value,
    argumentSpan: word.span,
    params: [],
    word,
  };
}

/** Hands out bus and unit numbers. */
class Places {
  private readonly taken = new Set<string>();
  /** The lowest unit that may be free, by interface and bus. */
  private readonly free = new Map<string, { bus: number; unit: number }>();
  private readonly machine: Machine;
  constructor(machine: Machine) {
    this.machine = machine;
  }
  /** Units on one bus of that interface, 0 for no limit (`if_max_devs`). */
  max(kind: DriveInterface): number {
    if (kind === 'ide') return this.machine.ide.units || 2;
    return kind === 'scsi' ? 7 : 0;
  }
  place(kind: DriveInterface, index: number | undefined, bus = 0, unit = -1): { bus: number; unit: number } {
    const max = this.max(kind);
    if (index !== undefined && index >= 0) {
      bus = max === 0 ? 0 : Math.floor(index / max);
      unit = max === 0 ? index : index % max;
    } else if (unit < 0) {
      const key = `${kind}:${String(bus)}`;
      ({ bus, unit } = this.free.get(key) ?? { bus, unit: 0 });
      while (this.taken.has(`${kind}:${String(bus)}:${String(unit)}`)) {
        unit++;
        if (max > 0 && unit >= max) {
          unit -= max;
          bus++;
        }
      }
      this.free.set(key, { bus, unit });
    }
    this.taken.add(`${kind}:${String(bus)}:${String(unit)}`);
    return { bus, unit };
  }
}

/** The id that QEMU makes up for a drive without one. */
function autoId(
  kind: DriveInterface,
  media: 'disk' | 'cdrom',
  bus: number,
  unit: number,
  max: number,
): string {
  const word = kind === 'ide' || kind === 'scsi' ? (media === 'cdrom' ? '-cd' : '-hd') : '';
  return max > 0 ? `${kind}${String(bus)}${word}${String(unit)}` : `${kind}${word}${String(unit)}`;
}

function shortDrive(
  option: Option,
  kind: DriveInterface,
  media: 'disk' | 'cdrom',
  index: number,
  machine: Machine,
  places: Places,
): Drive {
  const { bus, unit } = places.place(kind, index < 0 ? undefined : index);
  const file = option.argument ?? '';
  const span = option.argumentSpan ?? option.span;
  return {
    option,
    id: autoId(kind, media, bus, unit, places.max(kind)),
    if: kind,
    file,
    media,
    bus,
    unit,
    index,
    readOnly: media === 'cdrom',
    snapshot: machine.snapshot,
    root: driveGraph(option, keyTree([]), file, span),
    tree: keyTree([]),
    span: option.span,
  };
}

function longDrive(option: Option, machine: Machine, places: Places): Drive {
  const tree = keyTree(option.params);
  const get = (key: string): Param | undefined => paramAt(tree, key);
  const ifParam = get('if');
  const media = get('media')?.value === 'cdrom' ? 'cdrom' : 'disk';
  const kind: DriveInterface =
    ifParam !== undefined && INTERFACES.has(ifParam.value)
      ? (ifParam.value as DriveInterface)
      : machine.defaultInterface;
  const index = readNumber(get('index')?.value);
  const { bus, unit } = places.place(
    kind,
    index,
    readNumber(get('bus')?.value) ?? 0,
    readNumber(get('unit')?.value) ?? -1,
  );
  const idParam = get('id');
  const fileParam = get('file') ?? get('file.filename');
  const formatParam = get('format') ?? get('driver');
  const drive: Drive = {
    option,
    id: idParam?.value ?? autoId(kind, media, bus, unit, places.max(kind)),
    if: kind,
    media,
    bus,
    unit,
    // Of an old name given twice the first counts: renaming turns their order round (`qemu_opt_rename`).
    readOnly:
      readBool((option.params.find((p) => p.key === 'readonly') ?? get('read-only'))?.value) ??
      media === 'cdrom',
    snapshot: readBool(get('snapshot')?.value) ?? machine.snapshot,
    root: driveGraph(option, tree, fileParam?.value, fileParam?.span ?? option.span),
    tree,
    span: option.span,
  };
  if (idParam !== undefined) drive.idParam = idParam;
  if (ifParam !== undefined) drive.ifParam = ifParam;
  if (index !== undefined) drive.index = index;
  if (fileParam !== undefined) {
    drive.file = fileParam.value;
    drive.fileParam = fileParam;
  }
  if (formatParam !== undefined) {
    drive.format = formatParam.value;
    drive.formatParam = formatParam;
  }
  return drive;
}

/** The block graph that a drive builds: a format node over a protocol node. */
function driveGraph(option: Option, tree: KeyTree, file: string | undefined, span: Span): BlockNode {
  const formatParam = paramAt(tree, 'format') ?? paramAt(tree, 'driver');
  const node = readNode(option, tree, option.span);
  node.driver = formatParam?.value ?? '';
  node.driverParam = formatParam;
  node.layer = layerOf(node.driver);
  if (node.layer === 'protocol') {
    if (file !== undefined) node.filename = file;
    return node;
  }
  delete node.filename;
  const hasChild = node.children.some((c) => c.role === 'file' && c.node !== undefined);
  if (!hasChild) {
    node.children = node.children.filter((c) => c.role !== 'file');
    if (file !== undefined && file !== '') {
      const param = paramAt(tree, 'file');
      node.children.unshift({
        role: 'file',
        node: protocolNode(option, file, param?.valueSpan ?? span, param),
        span,
      });
    }
  } else {
    const child = node.children.find((c) => c.role === 'file')?.node;
    if (child !== undefined && child.driver === '' && child.filename !== undefined) {
      child.driver = protocolNode(option, child.filename, span).driver;
      child.layer = 'protocol';
    }
  }
  return node;
}
