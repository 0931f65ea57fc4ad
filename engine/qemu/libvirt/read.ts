/**
 * libvirt's domain XML → command line: disks, their controllers and I/O threads. What stands beside storage is left out and,
 * where it is a disk's, named in a note. Source: libvirt's formatdomain; src/qemu/qemu_command.c, qemu_block.c.
 */
import { parsePciAddress } from '../model/placement.ts';
import type { Conversion, ConversionNote } from '../convert/notes.ts';
import { writeOption, type Pair } from '../convert/write.ts';
import { CACHE_MODES, diskIndex, limitOfTune, SCSI_MODELS } from './disk.ts';
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

class DomainReader {
  readonly notes: ConversionNote[] = [];
  private readonly root: XmlElement;
  private readonly devices: XmlElement;
  private readonly options: string[] = [];
  private readonly groups = new Set<string>();
  private nodes = 0;

  constructor(root: XmlElement) {
    this.root = root;
    const list: XmlElement = { name: 'devices', attributes: {}, children: [root], text: '', span: root.span };
    this.devices = child(root, 'devices') ?? list;
  }

  line(): string[] {
    const type = child(child(this.root, 'os'), 'type');
    const program =
      child(this.devices, 'emulator')?.text ?? `qemu-system-${type?.attributes.arch ?? 'x86_64'}`;
    const machine = type?.attributes.machine;
    this.options.push(
      machine === undefined ? program : `${program} ${writeOption('machine', [['type', machine]], 'type')}`,
    );
    for (const id of this.threads())
      this.add(
        'object',
        [
          ['qom-type', 'iothread'],
          ['id', `iothread${id}`],
        ],
        'qom-type',
      );
    for (const element of this.controllers()) this.controller(element);
    for (const element of this.devices.children) if (element.name === 'disk') this.disk(element);
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

  /** The controllers of the XML, and those that libvirt adds for a disk without one. */
  private controllers(): XmlElement[] {
    const found = this.devices.children.filter(
      (c) => c.name === 'controller' && ['scsi', 'sata', 'usb'].includes(c.attributes.type),
    );
    for (const disk of this.devices.children) {
      const bus = child(disk, 'target')?.attributes.bus;
      if (disk.name !== 'disk' || bus === undefined || !['scsi', 'sata', 'usb'].includes(bus)) continue;
      const index =
        bus === 'usb'
          ? (child(disk, 'address')?.attributes.bus ?? '0')
          : (child(disk, 'address')?.attributes.controller ?? '0');
      if (found.some((c) => c.attributes.type === bus && (c.attributes.index ?? '0') === index)) continue;
      const model: Record<string, string> = bus === 'scsi' ? { model: 'virtio-scsi' } : {};
      found.push({
        name: 'controller',
        attributes: { type: bus, index, ...model },
        children: [],
        text: '',
        span: disk.span,
      });
    }
    return found;
  }

  private controller(element: XmlElement): void {
    const { type, index = '0', model } = element.attributes;
    const driver = child(element, 'driver')?.attributes ?? {};
    const pairs: Pair[] = [];
    if (type === 'sata') pairs.push(['driver', 'ahci'], ['id', `sata${index}`]);
    else if (type === 'usb') {
      if (model === 'none') return;
      pairs.push(['driver', model === 'piix3-uhci' ? 'piix3-usb-uhci' : 'qemu-xhci'], ['id', `usb${index}`]);
    } else {
      const device = model === undefined || model === 'auto' ? 'virtio-scsi-pci' : SCSI_MODELS[model];
      if (device === undefined) {
        this.note('controller', element, { model: model ?? '' });
        return;
      }
      pairs.push(['driver', device], ['id', `scsi${index}`]);
    }
    if (driver.queues !== undefined) pairs.push(['num_queues', driver.queues]);
    if (driver.iothread !== undefined) pairs.push(['iothread', `iothread${driver.iothread}`]);
    if (driver.max_sectors !== undefined) pairs.push(['max_sectors', driver.max_sectors]);
    if (driver.cmd_per_lun !== undefined) pairs.push(['cmd_per_lun', driver.cmd_per_lun]);
    pairs.push(...pciAddress(element));
    this.add('device', pairs, 'driver');
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
    const cache =
      driver.cache === undefined || driver.cache === 'default' ? undefined : CACHE_MODES[driver.cache];
    const source = child(disk, 'source');
    const protocol = source === undefined ? undefined : sourcePairs(disk.attributes.type ?? 'file', source);
    if (source !== undefined && protocol === undefined && Object.keys(source.attributes).length > 0) {
      this.note('source', source, { disk: what });
      return;
    }
    if (protocol !== undefined) {
      const readOnly = child(disk, 'readonly') !== undefined || device === 'cdrom';
      let top = this.node(driver.type ?? 'raw', protocol, readOnly, driver, cache, this.backing(disk, 0));
      if (driver.copy_on_read === 'on') top = this.filter('copy-on-read', [['file', top]]);
      const tune = child(disk, 'iotune');
      if (tune !== undefined) top = this.throttle(tune, top, what);
      front.push(['drive', top]);
    }
    const serial = child(disk, 'serial')?.text;
    if (serial !== undefined && serial !== '') front.push(['serial', serial]);
    const wwn = child(disk, 'wwn')?.text;
    if (wwn !== undefined) front.push(['wwn', wwn.startsWith('0x') ? wwn : `0x${wwn}`]);
    const order = child(disk, 'boot')?.attributes.order;
    if (order !== undefined) front.push(['bootindex', order]);
    if (child(disk, 'shareable') !== undefined) front.push(['share-rw', 'on']);
    if (cache !== undefined) front.push(['write-cache', cache.writeCache ? 'on' : 'off']);
    if (driver.error_policy !== undefined)
      front.push(['werror', driver.error_policy === 'enospace' ? 'enospc' : driver.error_policy]);
    const rerror =
      driver.rerror_policy ?? (driver.error_policy === 'enospace' ? undefined : driver.error_policy);
    if (rerror !== undefined) front.push(['rerror', rerror]);
    const blockio = child(disk, 'blockio')?.attributes ?? {};
    for (const key of ['logical_block_size', 'physical_block_size', 'discard_granularity'])
      if (Object.hasOwn(blockio, key)) front.push([key, blockio[key]]);
    this.add('device', front, 'driver');
    for (const { name, span } of disk.children) {
      if (['encryption', 'transient', 'mirror', 'auth', 'geometry'].includes(name))
        this.notes.push({ key: 'convert.libvirt.element', params: { disk: what, element: name }, span });
    }
  }

  private node(
    format: string,
    protocol: Pair[],
    readOnly: boolean,
    driver: Record<string, string>,
    cache: (typeof CACHE_MODES)[string] | undefined,
    backing: string | undefined,
  ): string {
    const name = `libvirt-${String(++this.nodes)}-format`;
    const pairs: Pair[] = [
      ['driver', format],
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
    if (driver.detect_zeroes !== undefined) pairs.push(['detect-zeroes', driver.detect_zeroes]);
    if (backing !== undefined) pairs.push(['backing', backing]);
    this.add('blockdev', pairs);
    return name;
  }

  private backing(parent: XmlElement, depth: number): string | undefined {
    const store = child(parent, 'backingStore');
    const source = child(store, 'source');
    // An empty element ends the chain; an absent one leaves it to the image.
    if (store === undefined || source === undefined || depth > 32) return undefined;
    const protocol = sourcePairs(store.attributes.type ?? 'file', source);
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
    const group = child(tune, 'group_name')?.text ?? `throttle-${disk}`;
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
    const address = child(disk, 'address')?.attributes ?? {};
    const index = Math.max(0, diskIndex(dev));
    const { controller = '0' } = address;
    const cd = device === 'cdrom';
    switch (device === 'disk' || cd || device === 'lun' ? bus : device) {
      case 'virtio': {
        const driver = child(disk, 'driver')?.attributes ?? {};
        return [
          ['driver', 'virtio-blk-pci'],
          ['id', `virtio-disk${String(index)}`],
          ...(driver.iothread === undefined ? [] : [['iothread', `iothread${driver.iothread}`] as const]),
          ...(driver.queues === undefined ? [] : [['num-queues', driver.queues] as const]),
          ...pciAddress(disk),
        ];
      }
      case 'scsi': {
        const { bus: channel = '0', target = '0', unit = String(index) } = address;
        const lsi = this.devices.children.some(
          (c) =>
            c.attributes.type === 'scsi' &&
            (c.attributes.index ?? '0') === controller &&
            c.attributes.model === 'lsilogic',
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
          ['bus', `sata${controller}.${unit}`],
        ];
      }
      case 'usb':
        return [
          ['driver', 'usb-storage'],
          ['id', `usb-disk${String(index)}`],
          ['bus', `usb${address.bus ?? '0'}.0`],
          ...(address.port === undefined ? [] : [['port', address.port] as const]),
        ];
      case 'floppy':
        return [
          ['driver', 'floppy'],
          ['id', `fdc0-0-${String(index)}`],
          ['unit', address.unit ?? String(index % 2)],
        ];
      default:
        return undefined;
    }
  }
}

function pciAddress(element: XmlElement): Pair[] {
  const address = child(element, 'address')?.attributes;
  if (address?.type !== 'pci' || address.slot === undefined) return [];
  // Buses behind bridges are numbered by the XML; they have no name on a line without these bridges.
  if (Number(address.bus ?? '0') !== 0) return [];
  const fn = Number(address.function ?? '0');
  const text = `0x${Number(address.slot).toString(16)}${fn === 0 ? '' : `.0x${fn.toString(16)}`}`;
  return parsePciAddress(text) === undefined ? [] : [['addr', text]];
}

/** The protocol node of a `<source>`. */
function sourcePairs(type: string, source: XmlElement): Pair[] | undefined {
  const { attributes: a } = source;
  if (type === 'file' && a.file !== undefined)
    return [
      ['driver', 'file'],
      ['filename', a.file],
    ];
  if (type === 'block' && a.dev !== undefined)
    return [
      ['driver', 'host_device'],
      ['filename', a.dev],
    ];
  if (type === 'dir' && a.dir !== undefined)
    return [
      ['driver', 'vvfat'],
      ['dir', a.dir],
    ];
  if (type !== 'network') return undefined;
  const host = child(source, 'host')?.attributes ?? {};
  const name = a.name ?? '';
  switch (a.protocol) {
    case 'nbd':
      return [
        ['driver', 'nbd'],
        ...(host.transport === 'unix'
          ? ([
              ['server.type', 'unix'],
              ['server.path', host.socket ?? ''],
            ] as const)
          : ([
              ['server.type', 'inet'],
              ['server.host', host.name ?? ''],
              ['server.port', host.port ?? '10809'],
            ] as const)),
        ...(name === '' ? [] : [['export', name] as const]),
      ];
    case 'http':
    case 'https':
    case 'ftp':
    case 'ftps':
      return [
        ['driver', a.protocol],
        [
          'url',
          `${a.protocol}://${host.name ?? ''}${host.port === undefined ? '' : `:${host.port}`}/${name.replace(/^\//, '')}`,
        ],
      ];
    case 'ssh':
      return [
        ['driver', 'ssh'],
        ['server.host', host.name ?? ''],
        ['server.port', host.port ?? '22'],
        ['path', name],
      ];
    case 'rbd': {
      const slash = name.indexOf('/');
      return slash < 0
        ? undefined
        : [
            ['driver', 'rbd'],
            ['pool', name.slice(0, slash)],
            ['image', name.slice(slash + 1)],
          ];
    }
    case 'iscsi': {
      const [target, lun = '0'] = name.split('/');
      return [
        ['driver', 'iscsi'],
        ['transport', 'tcp'],
        ['portal', `${host.name ?? ''}:${host.port ?? '3260'}`],
        ['target', target],
        ['lun', lun],
      ];
    }
    default:
      return undefined;
  }
}
