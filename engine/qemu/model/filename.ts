/** File names as QEMU's block layer reads them: a path, `protocol:rest`, a URL, `json:{…}`. Source: block.c, block/*.c. */
import { readJsonObject } from '../parse/json.ts';
import { own } from './values.ts';

export interface ParsedFilename {
  /** Protocol driver: `file`, `nbd`, `iscsi`, `rbd`, `vvfat`, …; undefined for `json:` that names none. */
  driver?: string;
  /** Path, host or URL for showing. */
  label: string;
  /** Flattened options that the name stands for. */
  options: Record<string, string>;
  /** Characters after the colon of a protocol that QEMU does not know. */
  unknownProtocol?: string;
}

/** Prefixes with the driver they select (`bdrv_find_protocol`). */
export const PROTOCOLS: Record<string, string> = {
  file: 'file',
  host_device: 'host_device',
  host_cdrom: 'host_cdrom',
  nbd: 'nbd',
  'nbd+tcp': 'nbd',
  'nbd+unix': 'nbd',
  nbds: 'nbd',
  iscsi: 'iscsi',
  'iser+iscsi': 'iscsi',
  rbd: 'rbd',
  gluster: 'gluster',
  'gluster+tcp': 'gluster',
  'gluster+unix': 'gluster',
  'gluster+rdma': 'gluster',
  ssh: 'ssh',
  'ssh+tcp': 'ssh',
  http: 'http',
  https: 'https',
  ftp: 'ftp',
  ftps: 'ftps',
  nfs: 'nfs',
  sheepdog: 'sheepdog',
  vxhs: 'vxhs',
  fat: 'vvfat',
  blkdebug: 'blkdebug',
  blkverify: 'blkverify',
  blkreplay: 'blkreplay',
  'null-co': 'null-co',
  'null-aio': 'null-aio',
  nvme: 'nvme',
  fd: 'file',
};

/** Reads the file name of `-drive file=`, `-hda` or a backing file. */
export function parseFilename(name: string): ParsedFilename {
  if (name.startsWith('json:')) return fromJson(name.slice(5));
  const protocol = protocolOf(name);
  if (protocol === undefined) {
    const device = name.startsWith('/dev/');
    const driver = device
      ? /^\/dev\/(?:cdrom|sr\d|cd\d|dvd)/.test(name)
        ? 'host_cdrom'
        : 'host_device'
      : 'file';
    return {
      driver: /^\/dev\/(?:fdset|null|zero|stdin|shm)/.test(name) ? 'file' : driver,
      label: name,
      options: { filename: name },
    };
  }
  const driver = own(PROTOCOLS, protocol);
  const rest = name.slice(protocol.length + 1);
  if (driver === undefined) return { label: name, options: { filename: name }, unknownProtocol: protocol };
  const filename = driver === 'file' || driver.startsWith('host_') ? rest : name;
  return { driver, label: filename, options: { filename } };
}

/** `path_has_protocol`: a colon before the first slash. */
export function protocolOf(name: string): string | undefined {
  const colon = name.search(/[:/]/);
  return colon > 0 && name[colon] === ':' ? name.slice(0, colon) : undefined;
}

function fromJson(text: string): ParsedFilename {
  const { leaves } = readJsonObject(text);
  const options: Record<string, string> = {};
  for (const leaf of leaves) options[leaf.key] = leaf.value;
  const driver = options.driver ?? options['file.driver'];
  const label = options['file.filename'] ?? options.filename ?? `json:${driver ?? ''}`;
  return { ...(driver === undefined ? {} : { driver }), label, options };
}

/** Drivers that carry bytes (protocols); all others are formats or filters. */
export const PROTOCOL_DRIVERS = new Set([
  'file',
  'host_device',
  'host_cdrom',
  'nbd',
  'iscsi',
  'rbd',
  'gluster',
  'ssh',
  'http',
  'https',
  'ftp',
  'ftps',
  'nfs',
  'sheepdog',
  'vxhs',
  'vvfat',
  'null-co',
  'null-aio',
  'nvme',
  'io_uring',
  'nvme-io_uring',
  'virtio-blk-vhost-user',
  'virtio-blk-vhost-vdpa',
  'virtio-blk-vfio-pci',
  'vitastor',
  'zoned_host_device',
]);

export const FILTER_DRIVERS = new Set([
  'throttle',
  'copy-on-read',
  'blkdebug',
  'blkverify',
  'blkreplay',
  'blklogwrites',
  'quorum',
  'raw',
  'preallocate',
  'compress',
  'copy-before-write',
  'snapshot-access',
  'replication',
  'backup-top',
  'mirror_top',
  'commit_top',
]);
