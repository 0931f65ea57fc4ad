/** Command line → libvirt's domain XML: disks, SCSI controllers, I/O threads. Source: libvirt's formatdomain. */
import type { Conversion, ConversionNote } from '../convert/notes.ts';
import type { CommandLine } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { parsePciAddress } from '../model/placement.ts';
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
import { cacheMode, diskLetters, SCSI_MODELS, tuneOfLimit } from './disk.ts';
import { escapeXml } from './xml.ts';

const BUSES: Readonly<Record<string, [bus: string, device: string, prefix: string]>> = {
  'virtio-blk-pci': ['virtio', 'disk', 'vd'],
  'scsi-hd': ['scsi', 'disk', 'sd'],
  'scsi-cd': ['scsi', 'cdrom', 'sd'],
  'scsi-block': ['scsi', 'lun', 'sd'],
  'ide-hd': ['ide', 'disk', 'hd'],
  'ide-cd': ['ide', 'cdrom', 'hd'],
};

/** The disks of a line whose drives are block nodes (see `toBlockdev`) as XML; what it cannot say is in the notes. */
export function toLibvirt(line: CommandLine): Conversion {
  const model = storageModel(line);
  const notes: ConversionNote[] = [];
  const threads = model.objects.filter((o) => o.type === 'iothread');
  const rows: string[] = [];
  const counts = new Map<string, number>();
  for (const device of model.devices) {
    const scsi = Object.entries(SCSI_MODELS).find(([, driver]) => driver === device.canonical)?.[0];
    const place = Object.hasOwn(BUSES, device.canonical) ? BUSES[device.canonical] : undefined;
    if (scsi !== undefined) rows.push(...controller(device, scsi, model));
    else if (place !== undefined) {
      const count = counts.get(place[2]) ?? 0;
      counts.set(place[2], count + 1);
      const disk = diskRows(model, device, place, place[2] + diskLetters(count));
      if (disk === undefined)
        notes.push({
          key: 'convert.libvirt.node',
          params: { device: device.id ?? device.driver },
          span: device.span,
        });
      else rows.push(...disk);
    } else if (device.kind !== undefined && device.drive !== undefined)
      notes.push({
        key: 'convert.libvirt.device',
        params: { device: device.id ?? device.driver },
        span: device.span,
      });
  }
  const head = threads.length === 0 ? [] : [`  <iothreads>${String(threads.length)}</iothreads>`];
  const arch = model.machine.arch;
  const text = [
    "<domain type='kvm'>",
    ...head,
    '  <os>',
    `    <type${attributes({ arch, machine: model.machine.type })}>hvm</type>`,
    '  </os>',
    '  <devices>',
    ...rows.map((row) => `    ${row}`),
    '  </devices>',
    '</domain>',
    '',
  ].join('\n');
  return { text, notes };
}

function attributes(values: Record<string, string | undefined>): string {
  return Object.entries(values)
    .map(([key, value]) => (value === undefined ? '' : ` ${key}='${escapeXml(value)}'`))
    .join('');
}

/** The number of an I/O thread: libvirt counts them from 1. */
function threadNumber(model: StorageModel, device: Device): string | undefined {
  const id = deviceParam(device, 'iothread')?.value;
  const index = model.objects.filter((o) => o.type === 'iothread').findIndex((o) => o.id === id);
  return index < 0 ? undefined : String(index + 1);
}

function scsiIndex(model: StorageModel, device: Device | undefined): string {
  const all = model.devices.filter((d) => Object.values(SCSI_MODELS).includes(d.canonical));
  return String(Math.max(0, device === undefined ? 0 : all.indexOf(device)));
}

function pciRow(device: Device): string[] {
  const at = parsePciAddress(deviceParam(device, 'addr')?.value ?? '');
  if (at === undefined) return [];
  const hex = (n: number, width: number): string => `0x${n.toString(16).padStart(width, '0')}`;
  return [
    `  <address type='pci' domain='0x0000' bus='0x00' slot='${hex(at.slot, 2)}' function='${hex(at.fn, 1)}'/>`,
  ];
}

function controller(device: Device, name: string, model: StorageModel): string[] {
  const driver = attributes({
    queues: deviceParam(device, 'num_queues')?.value,
    iothread: threadNumber(model, device),
  });
  return [
    `<controller type='scsi' index='${scsiIndex(model, device)}' model='${name}'>`,
    ...(driver === '' ? [] : [`  <driver${driver}/>`]),
    ...pciRow(device),
    '</controller>',
  ];
}

function diskRows(
  model: StorageModel,
  device: Device,
  [bus, kind]: [string, string, string],
  dev: string,
): string[] | undefined {
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
  const source = node === undefined ? undefined : sourceOf(model, node);
  if (
    device.drive !== undefined &&
    (node === undefined || source === undefined || node.option.name !== 'blockdev')
  )
    return undefined;
  const flag = (key: string): boolean => node !== undefined && readBool(valueAt(node.tree, key)) === true;
  const writeCache = readBool(get('write-cache'));
  const cache =
    writeCache === undefined && !flag('cache.direct') && !flag('cache.no-flush')
      ? undefined
      : cacheMode(flag('cache.direct'), flag('cache.no-flush'), writeCache ?? true);
  const driver = attributes({
    name: 'qemu',
    type: node?.driver ?? 'raw',
    cache,
    error_policy: get('werror') === 'enospc' ? 'enospace' : get('werror'),
    rerror_policy: get('rerror'),
    io: node === undefined ? undefined : valueAt(node.tree, 'file.aio'),
    discard: node === undefined ? undefined : valueAt(node.tree, 'discard'),
    detect_zeroes: node === undefined ? undefined : valueAt(node.tree, 'detect-zeroes'),
    copy_on_read: copyOnRead,
    iothread: threadNumber(model, device),
    queues: get('num-queues'),
  });
  const serial = get('serial');
  const order = get('bootindex');
  return [
    `<disk type='${source?.type ?? 'file'}' device='${kind}'>`,
    `  <driver${driver}/>`,
    ...(source?.rows ?? []).map((row) => `  ${row}`),
    ...(node === undefined ? [] : backingRows(model, node, 0)).map((row) => `  ${row}`),
    `  <target dev='${dev}' bus='${bus}'/>`,
    ...(tune.length === 0 ? [] : ['  <iotune>', ...tune.map((row) => `    ${row}`), '  </iotune>']),
    ...(flag('read-only') ? ['  <readonly/>'] : []),
    ...(readBool(get('share-rw')) === true ? ['  <shareable/>'] : []),
    ...(serial === undefined ? [] : [`  <serial>${escapeXml(serial)}</serial>`]),
    ...(order === undefined ? [] : [`  <boot order='${escapeXml(order)}'/>`]),
    ...addressRows(model, device, bus),
    '</disk>',
  ];
}

function addressRows(model: StorageModel, device: Device, bus: string): string[] {
  const get = (key: string): string | undefined => deviceParam(device, key)?.value;
  if (bus === 'virtio') return pciRow(device);
  const owner = model.deviceById.get(device.bus?.value.replace(/\.\d+$/, '') ?? '');
  const place =
    bus === 'scsi'
      ? {
          controller: scsiIndex(model, owner),
          bus: get('channel') ?? '0',
          target: get('scsi-id') ?? '0',
          unit: get('lun') ?? '0',
        }
      : {
          controller: '0',
          bus: /\d+$/.exec(device.bus?.value ?? '0')?.[0] ?? '0',
          target: '0',
          unit: get('unit') ?? '0',
        };
  return [`  <address type='drive'${attributes(place)}/>`];
}

function tuneRows(model: StorageModel, group: string): string[] {
  const rows = [];
  for (const { key, value } of model.objectById.get(group)?.option.params ?? []) {
    const name = tuneOfLimit(key);
    if (name !== undefined) rows.push(`<${name}>${escapeXml(value)}</${name}>`);
  }
  return [...rows, `<group_name>${escapeXml(group)}</group_name>`];
}

function sourceOf(model: StorageModel, node: BlockNode): { type: string; rows: string[] } | undefined {
  const file = node.children.find((c) => c.role === 'file');
  const protocol = file === undefined ? undefined : childNode(model, file);
  const get = (key: string): string | undefined =>
    protocol === undefined ? undefined : valueAt(protocol.tree, key);
  switch (protocol?.driver) {
    case 'file':
      return { type: 'file', rows: [`<source${attributes({ file: get('filename') })}/>`] };
    case 'host_device':
      return { type: 'block', rows: [`<source${attributes({ dev: get('filename') })}/>`] };
    case 'nbd': {
      const host =
        get('server.type') === 'unix'
          ? { transport: 'unix', socket: get('server.path') }
          : { name: get('server.host'), port: get('server.port') };
      return {
        type: 'network',
        rows: [
          `<source${attributes({ protocol: 'nbd', name: get('export') })}>`,
          `  <host${attributes(host)}/>`,
          '</source>',
        ],
      };
    }
    default:
      return undefined;
  }
}

function backingRows(model: StorageModel, node: BlockNode, depth: number): string[] {
  const link = node.children.find((c) => c.role === 'backing');
  const below = link === undefined || depth > 32 ? undefined : childNode(model, link);
  const source = below === undefined ? undefined : sourceOf(model, below);
  if (below === undefined || source === undefined) return [];
  return [
    `<backingStore type='${source.type}'>`,
    `  <format type='${escapeXml(below.driver)}'/>`,
    ...source.rows.map((row) => `  ${row}`),
    ...backingRows(model, below, depth + 1).map((row) => `  ${row}`),
    '</backingStore>',
  ];
}
