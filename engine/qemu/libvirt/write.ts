/** Command line → libvirt's domain XML: disks, their controllers, I/O threads. Source: libvirt's formatdomain. */
import type { Conversion, ConversionNote } from '../convert/notes.ts';
import type { CommandLine } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { parsePciAddress, placeDevices, type Bus, type PlacedDevice } from '../model/placement.ts';
import { valueAt } from '../model/tree.ts';
import { readBool } from '../model/values.ts';
import {
  childNode,
  rootNodeOf,
  storageModel,
  type BlockNode,
  type Device,
  type StorageModel,
} from '../storage-model.ts';
import {
  cacheMode,
  diskLetters,
  FRONT,
  SCSI_MODELS,
  tuneOfLimit,
  USB_MODELS,
  VIRTIO_MODELS,
} from './disk.ts';
import { PCI_MODELS } from './pci.ts';
import { attributes, element, writeSource, type WrittenSource } from './source.ts';
import { escapeXml } from './xml.ts';

/** libvirt's bus and kind of a front end. An IDE disk on an AHCI port is libvirt's SATA. */
const BUSES: Readonly<Record<string, [bus: string, device: string]>> = {
  'virtio-blk-pci': ['virtio', 'disk'],
  'virtio-blk-pci-transitional': ['virtio', 'disk'],
  'virtio-blk-pci-non-transitional': ['virtio', 'disk'],
  'scsi-hd': ['scsi', 'disk'],
  'scsi-cd': ['scsi', 'cdrom'],
  'scsi-block': ['scsi', 'lun'],
  'ide-hd': ['ide', 'disk'],
  'ide-cd': ['ide', 'cdrom'],
  'usb-storage': ['usb', 'disk'],
  floppy: ['fdc', 'floppy'],
};
const PREFIXES: Readonly<Record<string, string>> = { virtio: 'vd', ide: 'hd', fdc: 'fd' };
/** Devices whose id counts the disks of their kind, as libvirt gives it. */
const COUNTED = /^(?:virtio-disk|usb-disk|fdc0-0-)(\d{1,3})$/;

/** The disks of a line whose drives are block nodes (see `toBlockdev`) as XML; what it cannot say is in the notes. */
export function toLibvirt(line: CommandLine): Conversion {
  return new DomainWriter(line).write();
}

class DomainWriter {
  private readonly model: StorageModel;
  private readonly placed: PlacedDevice[];
  private readonly notes: ConversionNote[] = [];
  private readonly taken = new Set<string>();

  constructor(line: CommandLine) {
    this.model = storageModel(line);
    this.placed = placeDevices(this.model).devices;
  }

  write(): Conversion {
    const { machine, objects } = this.model;
    const threads = objects.filter((o) => o.type === 'iothread').map((o, i) => threadId(o.id, i));
    const counted = threads.every((id, i) => id === String(i + 1));
    const rows: string[] = [];
    for (const placed of this.placed) rows.push(...this.device(placed));
    const { arch, type } = machine;
    const text = [
      ...element('domain', { type: 'kvm' }, [
        ...(threads.length === 0 ? [] : [`<iothreads>${String(threads.length)}</iothreads>`]),
        ...(counted
          ? []
          : element(
              'iothreadids',
              {},
              threads.flatMap((id) => element('iothread', { id })),
            )),
        ...element('os', {}, [`<type${attributes({ arch, machine: type })}>hvm</type>`]),
        ...element('devices', {}, rows),
      ]),
      '',
    ].join('\n');
    return { text, notes: this.notes };
  }

  private device(placed: PlacedDevice): string[] {
    const { device } = placed;
    const controller = this.controller(placed);
    if (controller !== undefined) return controller;
    if (device.canonical === 'vhost-user-blk-pci') return this.vhostUser(placed);
    const place = Object.hasOwn(BUSES, device.canonical) ? BUSES[device.canonical] : undefined;
    const params = { device: device.id ?? device.driver };
    if (place !== undefined) {
      const rows = this.disk(placed, sata(placed) ? ['sata', place[1]] : place);
      if (rows !== undefined) return rows;
      this.notes.push({ key: 'convert.libvirt.node', params, span: device.span });
    } else if (device.kind !== undefined && (device.drive !== undefined || device.kind.role === 'disk')) {
      this.notes.push({ key: 'convert.libvirt.device', params, span: device.span });
    }
    return [];
  }

  private controller(placed: PlacedDevice): string[] | undefined {
    const { device } = placed;
    const get = (key: string): string | undefined => deviceParam(device, key)?.value;
    const index = this.index(device);
    const kind = controllerKind(device);
    if (kind === undefined) return undefined;
    const [type, model] = kind;
    const driver = attributes({
      queues: get('num_queues'),
      iothread: this.threadNumber(device),
      max_sectors: get('max_sectors'),
      cmd_per_lun: get('cmd_per_lun'),
    });
    const target = { chassis: get('chassis') ?? get('chassis_nr'), port: get('port') };
    return element('controller', { type, index, model }, [
      ...(driver === '' ? [] : [`<driver${driver}/>`]),
      ...(device.canonical === 'ioh3420' ? element('model', { name: 'ioh3420' }) : []),
      ...(type === 'pci' && attributes(target) !== '' ? element('target', target) : []),
      ...this.pciRow(placed),
    ]);
  }

  /** The number of a controller among those of its kind. Bridges are counted from 1: bus 0 is the board's. */
  private index(device: Device | undefined): string {
    const type = device === undefined ? undefined : controllerKind(device)?.[0];
    if (device === undefined || type === undefined) return '0';
    const same = this.model.devices.filter((d) => controllerKind(d)?.[0] === type);
    const written = new RegExp(`^${type === 'pci' ? 'pci\\.' : type}(\\d{1,4})$`).exec(device.id ?? '')?.[1];
    // The board's own AHCI is libvirt's first.
    const first = type === 'pci' || (type === 'sata' && this.model.machine.family === 'q35') ? 1 : 0;
    return written ?? String(same.indexOf(device) + first);
  }

  /** The number of an I/O thread: libvirt counts them from 1. */
  private threadNumber(device: Device): string | undefined {
    const id = deviceParam(device, 'iothread')?.value;
    const index = this.model.objects.filter((o) => o.type === 'iothread').findIndex((o) => o.id === id);
    return index < 0 ? undefined : threadId(id, index);
  }

  /** The address that the line gives; what it leaves to QEMU is left to libvirt as well. */
  private pciRow({ device, bus }: PlacedDevice): string[] {
    const at = parsePciAddress(deviceParam(device, 'addr')?.value ?? '');
    if (at === undefined) return [];
    const hex = (n: number, width: number): string => `0x${n.toString(16).padStart(width, '0')}`;
    return element('address', {
      type: 'pci',
      domain: '0x0000',
      bus: hex(bus?.owner === undefined ? 0 : Number(this.index(bus.owner)), 2),
      slot: hex(at.slot, 2),
      function: hex(at.fn, 1),
      multifunction: readBool(deviceParam(device, 'multifunction')?.value) === true ? 'on' : undefined,
    });
  }

  /** `vda`, `sdb`, … : the number in the device's id when libvirt gave it, else the next free one. */
  private targetOf(device: Device, bus: string): string {
    const prefix = Object.hasOwn(PREFIXES, bus) ? PREFIXES[bus] : 'sd';
    const wanted = COUNTED.exec(device.id ?? '')?.[1];
    let index = wanted === undefined ? 0 : Number(wanted);
    while (this.taken.has(prefix + diskLetters(index))) index++;
    const name = prefix + diskLetters(index);
    this.taken.add(name);
    return name;
  }

  private disk(placed: PlacedDevice, [bus, kind]: [string, string]): string[] | undefined {
    const { model } = this;
    const { device } = placed;
    const get = (key: string): string | undefined => deviceParam(device, key)?.value;
    let node = rootNodeOf(model, device);
    const tune: string[] = [];
    let copyOnRead: string | undefined;
    while (node !== undefined && (node.driver === 'throttle' || node.driver === 'copy-on-read')) {
      if (node.driver === 'copy-on-read') copyOnRead = 'on';
      else tune.push(...tuneRows(model, valueAt(node.tree, 'throttle-group') ?? ''));
      const file: BlockNode['children'][number] | undefined = node.children.find((c) => c.role === 'file');
      node = file === undefined ? undefined : childNode(model, file);
    }
    const source = node === undefined ? undefined : this.source(node);
    if (
      device.drive !== undefined &&
      (node === undefined || source === undefined || node.option.name !== 'blockdev')
    )
      return undefined;
    const value = (key: string): string | undefined =>
      node === undefined ? undefined : valueAt(node.tree, key);
    const flag = (key: string): boolean => readBool(value(key)) === true;
    const writeCache = readBool(get('write-cache'));
    const cache =
      writeCache === undefined && !flag('cache.direct') && !flag('cache.no-flush')
        ? undefined
        : cacheMode(flag('cache.direct'), flag('cache.no-flush'), writeCache ?? true);
    const driver = {
      name: 'qemu',
      type: flag('file.floppy') ? 'fat' : (node?.driver ?? 'raw'),
      cache,
      error_policy: get('werror') === 'enospc' ? 'enospace' : get('werror'),
      rerror_policy: get('rerror'),
      io: value('file.aio'),
      discard: value('discard'),
      detect_zeroes: value('detect-zeroes'),
      copy_on_read: copyOnRead,
      iothread: this.threadNumber(device),
      queues: get('num-queues'),
      queue_size: get('queue-size'),
    };
    const virtio = Object.entries(VIRTIO_MODELS).find(([, driver]) => driver === device.canonical)?.[0];
    const text = (name: string, content: string | undefined): string[] =>
      content === undefined ? [] : [`<${name}>${escapeXml(content)}</${name}>`];
    const order = get('bootindex') ?? (kind === 'floppy' ? this.floppyBoot(placed) : undefined);
    return element(
      'disk',
      { type: source?.type ?? 'file', device: kind, model: virtio === 'virtio' ? undefined : virtio },
      [
        ...element('driver', driver),
        ...(source?.rows ?? []),
        ...(node === undefined ? [] : this.backing(node, 0)),
        ...element('target', {
          dev: this.targetOf(device, bus),
          bus,
          removable: get('removable'),
          rotation_rate: get('rotation_rate'),
        }),
        ...(tune.length === 0 ? [] : element('iotune', {}, tune)),
        ...(flag('read-only') ? ['<readonly/>'] : []),
        ...(readBool(get('share-rw')) === true ? ['<shareable/>'] : []),
        ...frontRows(get),
        ...text('wwn', get('wwn')),
        ...(order === undefined ? [] : element('boot', { order })),
        ...this.address(placed, bus),
      ],
    );
  }

  private vhostUser(placed: PlacedDevice): string[] {
    const { device } = placed;
    const get = (key: string): string | undefined => deviceParam(device, key)?.value;
    const socket = this.model.line.options.find(
      (o) => o.name === 'chardev' && o.params.some((p) => p.key === 'id' && p.value === get('chardev')),
    );
    const of = (key: string): string | undefined => socket?.params.find((p) => p.key === key)?.value;
    const timeout = of('reconnect');
    return element('disk', { type: 'vhostuser', device: 'disk' }, [
      ...element('driver', {
        name: 'qemu',
        type: 'raw',
        queues: get('num-queues'),
        queue_size: get('queue-size'),
      }),
      ...element(
        'source',
        { type: 'unix', path: of('path') },
        timeout === undefined ? [] : element('reconnect', { enabled: 'yes', timeout }),
      ),
      ...element('target', { dev: this.targetOf(device, 'virtio'), bus: 'virtio' }),
      ...(get('bootindex') === undefined ? [] : element('boot', { order: get('bootindex') })),
      ...this.pciRow(placed),
    ]);
  }

  private floppyBoot({ device }: PlacedDevice): string | undefined {
    const key = `bootindex${deviceParam(device, 'unit')?.value === '1' ? 'B' : 'A'}`;
    const own = this.model.devices.find((d) => d.canonical === 'isa-fdc');
    if (own !== undefined) return deviceParam(own, key)?.value;
    const global = this.model.line.options.findLast(
      (o) => o.name === 'global' && o.argument?.startsWith(`isa-fdc.${key}=`),
    );
    return global?.argument?.split('=')[1];
  }

  private address(placed: PlacedDevice, bus: string): string[] {
    const { device } = placed;
    const get = (key: string): string | undefined => deviceParam(device, key)?.value;
    if (bus === 'virtio') return this.pciRow(placed);
    const controller = this.index(placed.bus?.owner);
    const channel = portOf(placed.bus) ?? '0';
    switch (bus) {
      case 'usb':
        return get('port') === undefined
          ? []
          : element('address', { type: 'usb', bus: controller, port: get('port') });
      case 'scsi': {
        const lun = get('lun');
        const old = /^(?:lsi53c895a|am53c974|dc390)$/.test(placed.bus?.owner?.canonical ?? '');
        const place = old
          ? { bus: '0', target: '0', unit: get('scsi-id') ?? '0' }
          : { bus: get('channel') ?? '0', target: get('scsi-id') ?? '0', unit: lun ?? '0' };
        return element('address', { type: 'drive', controller, ...place });
      }
      case 'sata':
        return element('address', { type: 'drive', controller, bus: '0', target: '0', unit: channel });
      case 'fdc':
        return element('address', {
          type: 'drive',
          controller: '0',
          bus: '0',
          target: '0',
          unit: get('unit') ?? '0',
        });
      default:
        return element('address', {
          type: 'drive',
          controller: '0',
          bus: channel,
          target: '0',
          unit: placed.address ?? get('unit') ?? '0',
        });
    }
  }

  private source(node: BlockNode): WrittenSource | undefined {
    const file = node.children.find((c) => c.role === 'file');
    const protocol = file === undefined ? undefined : childNode(this.model, file);
    return protocol === undefined
      ? undefined
      : writeSource(protocol.driver, (key) => valueAt(protocol.tree, key));
  }

  private backing(node: BlockNode, depth: number): string[] {
    const link = node.children.find((c) => c.role === 'backing');
    const below = link === undefined || depth > 32 ? undefined : childNode(this.model, link);
    const source = below === undefined ? undefined : this.source(below);
    if (below === undefined || source === undefined) return [];
    return element('backingStore', { type: source.type }, [
      ...element('format', { type: below.driver }),
      ...source.rows,
      ...this.backing(below, depth + 1),
    ]);
  }
}

/** libvirt's type and model of a controller; undefined for a device that is none. */
function controllerKind({ canonical }: Device): [type: string, model: string | undefined] | undefined {
  const named = (models: Readonly<Record<string, string>>): string | undefined =>
    Object.entries(models).find(([, driver]) => driver === canonical)?.[0];
  if (canonical === 'ich9-ahci') return ['sata', undefined];
  if (canonical === 'ioh3420') return ['pci', 'pcie-root-port'];
  for (const [type, models] of [
    ['scsi', SCSI_MODELS],
    ['usb', USB_MODELS],
    ['pci', PCI_MODELS],
  ] as const) {
    const model = named(models);
    if (model !== undefined) return [type, model];
  }
  return undefined;
}

/** An IDE disk on a port of an AHCI: the board's own, or one of the line. */
function sata({ device, bus }: PlacedDevice): boolean {
  return device.kind?.family === 'ide-disk' && bus?.type === 'IDE' && bus.units === 1;
}

/** libvirt's number of an I/O thread: the one in its name, or its place. */
function threadId(id: string | undefined, index: number): string {
  return /^iothread(\d{1,6})$/.exec(id ?? '')?.[1] ?? String(index + 1);
}

/** The number at the end of a bus's name. */
function portOf(bus: Bus | undefined): string | undefined {
  return /(\d+)$/.exec(bus?.name ?? '')?.[1];
}

/** Elements of their own: serial, vendor, block sizes, geometry. */
function frontRows(get: (key: string) => string | undefined): string[] {
  const grouped = new Map<string, Record<string, string>>();
  const rows: string[] = [];
  for (const [name, attribute, property] of FRONT) {
    const value = get(property);
    if (value === undefined || name === 'target') continue;
    if (attribute === '') rows.push(`<${name}>${escapeXml(value)}</${name}>`);
    else grouped.set(name, { ...grouped.get(name), [attribute]: value });
  }
  for (const [name, values] of grouped) rows.push(...element(name, values));
  return rows;
}

function tuneRows(model: StorageModel, group: string): string[] {
  const rows = [];
  for (const { key, value } of model.objectById.get(group)?.option.params ?? []) {
    const name = tuneOfLimit(key);
    if (name !== undefined) rows.push(`<${name}>${escapeXml(value)}</${name}>`);
  }
  return [...rows, `<group_name>${escapeXml(group)}</group_name>`];
}
