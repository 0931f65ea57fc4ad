/**
 * libvirt's domain XML → command line: disks, their controllers and I/O threads. What stands beside storage is left out and,
 * where it is a disk's, named in a note. Source: libvirt's formatdomain; src/qemu/qemu_command.c, qemu_block.c.
 */
import type { Conversion, ConversionNote } from '../convert/notes.ts';
import { writeOption, type Pair } from '../convert/write.ts';
import { isIdentifier } from '../model/values.ts';
import {
  CACHE_MODES,
  diskIndex,
  FRONT,
  limitOfTune,
  SCSI_MODELS,
  USB_MODELS,
  VIRTIO_MODELS,
} from './disk.ts';
import { bridgePairs, bridgesTo, pciBus, pciPlace } from './pci.ts';
import { readSource } from './source.ts';
import { child, readXml, type XmlElement } from './xml.ts';

/** A `<domain>`, or a single `<disk>`, as a command line. Never throws. */
export function fromLibvirt(text: string): Conversion {
  const read = readXml(text);
  if ('fault' in read) {
    const { reason, at } = read.fault;
    return {
      text: '',
      notes: [
        { key: `convert.xml.${reason}`, params: { offset: String(at) }, span: { start: at, end: at + 1 } },
      ],
    };
  }
  const reader = new DomainReader(read.root);
  return { text: reader.line().join(' \\\n  '), notes: reader.notes };
}

/** Elements of a disk that have no counterpart on the line. */
const LEFT_OUT = ['encryption', 'transient', 'mirror', 'auth'];

type Cache = (typeof CACHE_MODES)[string];

class DomainReader {
  readonly notes: ConversionNote[] = [];
  private readonly root: XmlElement;
  private readonly devices: XmlElement;
  private readonly q35: boolean;
  private readonly options: string[] = [];
  private readonly groups = new Set<string>();
  private nodes = 0;

  constructor(root: XmlElement) {
    this.root = root;
    const list: XmlElement = { name: 'devices', attributes: {}, children: [root], text: '', span: root.span };
    this.devices = child(root, 'devices') ?? list;
    this.q35 = /q35/.test(child(child(root, 'os'), 'type')?.attributes.machine ?? '');
  }

  line(): string[] {
    const type = child(child(this.root, 'os'), 'type');
    const program =
      child(this.devices, 'emulator')?.text ?? `qemu-system-${type?.attributes.arch ?? 'x86_64'}`;
    const machine = type?.attributes.machine;
    this.options.push(
      machine === undefined ? program : `${program} ${writeOption('machine', [['type', machine]], 'type')}`,
    );
    // libvirt says every device; those that the board brings along would take the slots of others.
    if (this.root.name === 'domain') this.options.push('-nodefaults');
    for (const id of this.threads())
      this.add(
        'object',
        [
          ['qom-type', 'iothread'],
          ['id', `iothread${id}`],
        ],
        'qom-type',
      );
    const controllers = this.controllers();
    const disks = this.devices.children.filter((c) => c.name === 'disk');
    const buses = [...controllers, ...disks].map(pciBus);
    const all = this.devices.children.filter((c) => c.name === 'controller');
    for (const bridge of bridgesTo(buses, all)) this.add('device', bridgePairs(bridge), 'driver');
    for (const element of controllers) this.controller(element);
    this.floppies(disks);
    for (const disk of disks) this.disk(disk);
    return this.options;
  }

  private add(name: string, pairs: Pair[], implied?: string): void {
    this.options.push(writeOption(name, pairs, implied));
  }

  private note(key: string, element: XmlElement, params: Record<string, string>): void {
    this.notes.push({ key: `convert.libvirt.${key}`, params, span: element.span });
  }

  private threads(): string[] {
    const ids = child(this.root, 'iothreadids')?.children.flatMap((c) => c.attributes.id ?? []) ?? [];
    const count = Math.min(Number(child(this.root, 'iothreads')?.text ?? '0') || 0, 1024);
    for (let id = 1; ids.length < count; id++) if (!ids.includes(String(id))) ids.push(String(id));
    return ids;
  }

  /** The controllers that disks sit on, and every SCSI controller: those of the XML, and those that libvirt adds. */
  private controllers(): XmlElement[] {
    const listed = this.devices.children.filter((c) => c.name === 'controller');
    // A USB controller of several functions has one index; its first is the one with the ports.
    const found = listed.filter((c) => c.attributes.type === 'scsi');
    for (const disk of this.devices.children) {
      const bus = child(disk, 'target')?.attributes.bus;
      if (disk.name !== 'disk' || bus === undefined || !['scsi', 'sata', 'usb'].includes(bus)) continue;
      const address = driveAddress(disk);
      const index = (bus === 'usb' ? address.bus : address.controller) ?? '0';
      const same = (c: XmlElement): boolean =>
        c.attributes.type === bus && (c.attributes.index ?? '0') === index;
      if (found.some(same)) continue;
      const model: Record<string, string> = bus === 'scsi' ? { model: 'virtio-scsi' } : {};
      found.push(
        listed.find((c) => same(c) && child(c, 'master') === undefined) ?? {
          name: 'controller',
          attributes: { type: bus, index, ...model },
          children: [],
          text: '',
          span: disk.span,
        },
      );
    }
    return found;
  }

  private controller(element: XmlElement): void {
    const { type, index = '0', model } = element.attributes;
    const driver = child(element, 'driver')?.attributes ?? {};
    const pairs: Pair[] = [];
    if (type === 'sata') {
      if (this.onBoard(index)) return;
      pairs.push(['driver', 'ahci'], ['id', `sata${index}`]);
    } else if (type === 'usb') {
      const name = model ?? (this.q35 || this.root.name !== 'domain' ? 'qemu-xhci' : 'piix3-uhci');
      if (!Object.hasOwn(USB_MODELS, name)) {
        this.note('controller', element, { model: name });
        return;
      }
      pairs.push(['driver', USB_MODELS[name]], ['id', `usb${index}`]);
    } else {
      const name = model === undefined || model === 'auto' ? 'virtio-scsi' : model;
      if (!Object.hasOwn(SCSI_MODELS, name)) {
        this.note('controller', element, { model: name });
        return;
      }
      pairs.push(['driver', SCSI_MODELS[name]], ['id', `scsi${index}`]);
    }
    if (driver.queues !== undefined) pairs.push(['num_queues', driver.queues]);
    if (driver.iothread !== undefined) pairs.push(['iothread', `iothread${driver.iothread}`]);
    if (driver.max_sectors !== undefined) pairs.push(['max_sectors', driver.max_sectors]);
    if (driver.cmd_per_lun !== undefined) pairs.push(['cmd_per_lun', driver.cmd_per_lun]);
    pairs.push(...pciPlace(element));
    this.add('device', pairs, 'driver');
  }

  /** The first SATA controller of a q35 is the board's own. */
  private onBoard(index: string): boolean {
    return this.q35 && index === '0';
  }

  /** Boot order of floppies is the controller's; only a q35 has none of its own. */
  private floppies(disks: readonly XmlElement[]): void {
    const boot = disks.flatMap((disk): Pair[] => {
      const order = child(disk, 'boot')?.attributes.order;
      if (disk.attributes.device !== 'floppy' || order === undefined) return [];
      return [[`bootindex${floppyUnit(disk) === '1' ? 'B' : 'A'}`, order]];
    });
    if (this.q35 && disks.some((d) => d.attributes.device === 'floppy'))
      this.add('device', [['driver', 'isa-fdc'], ['id', 'fdc0'], ...boot], 'driver');
    else for (const [key, order] of boot) this.options.push(`-global isa-fdc.${key}=${order}`);
  }

  private disk(disk: XmlElement): void {
    const target = child(disk, 'target')?.attributes ?? {};
    const what = target.dev ?? 'disk';
    const driver = child(disk, 'driver')?.attributes ?? {};
    const device = disk.attributes.device ?? 'disk';
    const bus =
      target.bus ?? (target.dev?.startsWith('vd') ? 'virtio' : target.dev?.startsWith('sd') ? 'scsi' : 'ide');
    const front = this.front(disk, bus, device, target.dev ?? '');
    if (front === undefined) {
      this.note('bus', disk, { disk: what, bus: `${bus} ${device}` });
      return;
    }
    const source = child(disk, 'source');
    if (disk.attributes.type === 'vhostuser') {
      this.vhostUser(disk, front, source?.attributes.path ?? '');
      return;
    }
    const cache = Object.hasOwn(CACHE_MODES, driver.cache ?? '') ? CACHE_MODES[driver.cache] : undefined;
    const protocol = source === undefined ? undefined : readSource(disk.attributes.type ?? 'file', source);
    if (source !== undefined && protocol === undefined && Object.keys(source.attributes).length > 0) {
      this.note('source', source, { disk: what });
      return;
    }
    if (protocol !== undefined) {
      const readOnly = child(disk, 'readonly') !== undefined || device === 'cdrom';
      if (driver.type === 'fat' && device === 'floppy') protocol.push(['floppy', 'on']);
      const below = this.backing(disk, 0);
      let top = this.node(driver.type ?? 'raw', protocol, readOnly, driver, cache, below);
      if (driver.copy_on_read === 'on') top = this.filter('copy-on-read', [['file', top]]);
      const tune = child(disk, 'iotune');
      if (tune !== undefined) top = this.throttle(tune, top, what);
      front.push(['drive', top]);
    }
    for (const [name, attribute, property] of FRONT) {
      const found = child(disk, name);
      const value = attribute === '' ? found?.text : found?.attributes[attribute];
      if (value !== undefined && value !== '') front.push([property, value]);
    }
    const wwn = child(disk, 'wwn')?.text;
    if (wwn !== undefined) front.push(['wwn', wwn.startsWith('0x') ? wwn : `0x${wwn}`]);
    const order = child(disk, 'boot')?.attributes.order;
    if (order !== undefined && device !== 'floppy') front.push(['bootindex', order]);
    if (child(disk, 'shareable') !== undefined) front.push(['share-rw', 'on']);
    if (cache !== undefined) front.push(['write-cache', cache.writeCache ? 'on' : 'off']);
    if (target.removable !== undefined) front.push(['removable', target.removable]);
    const policy = driver.error_policy;
    if (policy !== undefined) front.push(['werror', policy === 'enospace' ? 'enospc' : policy]);
    const rerror = driver.rerror_policy ?? (policy === 'enospace' ? undefined : policy);
    if (rerror !== undefined) front.push(['rerror', rerror]);
    this.add('device', front, 'driver');
    for (const { name, span } of disk.children)
      if (LEFT_OUT.includes(name))
        this.notes.push({ key: 'convert.libvirt.element', params: { disk: what, element: name }, span });
  }

  /** A disk that another program serves. It wants the guest's memory shared, which stands beside storage. */
  private vhostUser(disk: XmlElement, front: Pair[], path: string): void {
    const id = front.find(([key]) => key === 'id')?.[1] ?? 'disk';
    const socket: Pair[] = [
      ['id', `chr-${id}`],
      ['path', path],
    ];
    const { enabled, timeout } = child(child(disk, 'source'), 'reconnect')?.attributes ?? {};
    if (enabled === 'yes' && timeout !== undefined) socket.push(['reconnect', timeout]);
    this.add('chardev', [['backend', 'socket'], ...socket], 'backend');
    const order = child(disk, 'boot')?.attributes.order;
    const rest = front.filter(([key]) => key !== 'driver');
    this.add(
      'device',
      [
        ['driver', 'vhost-user-blk-pci'],
        ['chardev', `chr-${id}`],
        ...rest,
        ...(order === undefined ? [] : [['bootindex', order] as const]),
      ],
      'driver',
    );
  }

  private node(
    format: string,
    protocol: Pair[],
    readOnly: boolean,
    driver: Record<string, string>,
    cache: Cache | undefined,
    backing: string | undefined,
  ): string {
    const name = `libvirt-${String(++this.nodes)}-format`;
    const pairs: Pair[] = [
      // A folder is a FAT disk; its format is raw.
      ['driver', format === 'fat' ? 'raw' : format],
      ['node-name', name],
      ...protocol.map(([key, value]): Pair => [`file.${key}`, value]),
    ];
    if (driver.io !== undefined) pairs.push(['file.aio', driver.io]);
    if (readOnly) pairs.push(['read-only', 'on']);
    if (cache !== undefined) {
      if (cache.direct) pairs.push(['cache.direct', 'on']);
      if (cache.noFlush) pairs.push(['cache.no-flush', 'on']);
    }
    if (driver.discard !== undefined) pairs.push(['discard', driver.discard]);
    if (driver.detect_zeroes !== undefined) {
      // Without discard libvirt takes "unmap" for "on".
      const unmap = driver.detect_zeroes === 'unmap' && driver.discard !== 'unmap';
      pairs.push(['detect-zeroes', unmap ? 'on' : driver.detect_zeroes]);
    }
    if (backing !== undefined) pairs.push(['backing', backing]);
    this.add('blockdev', pairs);
    return name;
  }

  private backing(parent: XmlElement, depth: number): string | undefined {
    const store = child(parent, 'backingStore');
    const source = child(store, 'source');
    // An empty element ends the chain; an absent one leaves it to the image.
    if (store === undefined || source === undefined || depth > 32) return undefined;
    const protocol = readSource(store.attributes.type ?? 'file', source);
    if (protocol === undefined) {
      this.note('source', source, { disk: 'backingStore' });
      return undefined;
    }
    const below = this.backing(store, depth + 1);
    return this.node(child(store, 'format')?.attributes.type ?? 'raw', protocol, true, {}, undefined, below);
  }

  private filter(driver: string, pairs: Pair[]): string {
    const name = `libvirt-${String(this.nodes)}-${driver === 'throttle' ? 'throttle' : 'cor'}`;
    this.add('blockdev', [['driver', driver], ['node-name', name], ...pairs]);
    return name;
  }

  private throttle(tune: XmlElement, top: string, disk: string): string {
    const named = child(tune, 'group_name')?.text ?? `throttle-${disk}`;
    const group = isIdentifier(named) ? named : `group-${named.replaceAll(/[^A-Za-z0-9._-]/g, '_')}`;
    const limits: Pair[] = [];
    for (const { name, text } of tune.children) {
      const limit = limitOfTune(name);
      if (limit !== undefined && text !== '0') limits.push([limit, text]);
    }
    if (!this.groups.has(group))
      this.add('object', [['qom-type', 'throttle-group'], ['id', group], ...limits], 'qom-type');
    this.groups.add(group);
    return this.filter('throttle', [
      ['throttle-group', group],
      ['file', top],
    ]);
  }

  /** Driver, id and place of the device. */
  private front(disk: XmlElement, bus: string, device: string, dev: string): Pair[] | undefined {
    const address = driveAddress(disk);
    const index = Math.max(0, diskIndex(dev));
    const { controller = '0' } = address;
    const cd = device === 'cdrom';
    switch (device === 'disk' || cd || device === 'lun' ? bus : device) {
      case 'virtio': {
        const driver = child(disk, 'driver')?.attributes ?? {};
        const model = disk.attributes.model ?? 'virtio';
        return [
          ['driver', Object.hasOwn(VIRTIO_MODELS, model) ? VIRTIO_MODELS[model] : VIRTIO_MODELS.virtio],
          ['id', `virtio-disk${String(index)}`],
          ...(driver.iothread === undefined ? [] : [['iothread', `iothread${driver.iothread}`] as const]),
          ...(driver.queues === undefined ? [] : [['num-queues', driver.queues] as const]),
          ...(driver.queue_size === undefined ? [] : [['queue-size', driver.queue_size] as const]),
          ...pciPlace(disk),
        ];
      }
      case 'scsi': {
        const { bus: channel = '0', target = '0', unit = String(index) } = address;
        const lsi = this.devices.children.some(
          (c) =>
            c.attributes.type === 'scsi' &&
            (c.attributes.index ?? '0') === controller &&
            /^(?:lsilogic|am53c974|dc390)$/.test(c.attributes.model),
        );
        // The old controllers have no LUNs: libvirt's unit is their target.
        const place: Pair[] = lsi
          ? [['scsi-id', unit]]
          : [
              ['channel', channel],
              ['scsi-id', target],
              ['lun', unit],
            ];
        return [
          ['driver', cd ? 'scsi-cd' : device === 'lun' ? 'scsi-block' : 'scsi-hd'],
          ['id', `scsi${controller}-${channel}-${target}-${unit}`],
          ['bus', `scsi${controller}.0`],
          ...place,
        ];
      }
      case 'ide': {
        const channel = address.bus ?? String(Math.floor(index / 2) % 2);
        const unit = address.unit ?? String(index % 2);
        return [
          ['driver', cd ? 'ide-cd' : 'ide-hd'],
          ['id', `ide${controller}-${channel}-${unit}`],
          ['bus', `ide.${channel}`],
          ['unit', unit],
        ];
      }
      case 'sata': {
        const unit = address.unit ?? String(index % 6);
        return [
          ['driver', cd ? 'ide-cd' : 'ide-hd'],
          ['id', `sata${controller}-0-${unit}`],
          ['bus', this.onBoard(controller) ? `ide.${unit}` : `sata${controller}.${unit}`],
        ];
      }
      case 'usb':
        return [
          ['driver', 'usb-storage'],
          ['id', `usb-disk${String(index)}`],
          ['bus', `usb${address.bus ?? '0'}.0`],
          ...(address.port === undefined ? [] : [['port', address.port] as const]),
        ];
      case 'floppy': {
        const unit = floppyUnit(disk);
        return [
          ['driver', 'floppy'],
          ['id', `fdc0-0-${unit}`],
          ...(this.q35 ? [['bus', 'fdc0.0'] as const] : []),
          ['unit', unit],
        ];
      }
      default:
        return undefined;
    }
  }
}

/** An address of type drive or usb, its numbers in decimal; an address of another type says nothing about the drive's. */
function driveAddress(disk: XmlElement): Record<string, string> {
  const { type, ...numbers } = child(disk, 'address')?.attributes ?? {};
  if (type !== undefined && type !== 'drive' && type !== 'usb') return {};
  return Object.fromEntries(
    Object.entries(numbers).map(([key, value]) => [
      key,
      /^0x[0-9a-f]+$/i.test(value) ? String(Number(value)) : value,
    ]),
  );
}

function floppyUnit(disk: XmlElement): string {
  const index = Math.max(0, diskIndex(child(disk, 'target')?.attributes.dev ?? ''));
  return child(disk, 'address')?.attributes.unit ?? String(index % 2);
}
