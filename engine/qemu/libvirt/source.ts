/** libvirt's `<source>` and QEMU's protocol node, both ways. Source: libvirt's formatdomain, src/qemu/qemu_block.c. */
import type { Pair } from '../convert/write.ts';
import { child, escapeXml, type XmlElement } from './xml.ts';

/** Ports that libvirt fills in. */
const PORTS: Readonly<Record<string, string>> = { nbd: '10809', gluster: '24007', iscsi: '3260', ssh: '22' };

const children = (element: XmlElement, name: string): XmlElement[] =>
  element.children.filter((c) => c.name === name);

/** `server.host`, `server.port` or `server.path` below `prefix`. */
function server(prefix: string, protocol: string, host: XmlElement | undefined, typed = true): Pair[] {
  const { transport, socket, name = '', port } = host?.attributes ?? {};
  if (transport === 'unix')
    return [
      [`${prefix}.type`, 'unix'],
      [`${prefix}.path`, socket ?? ''],
    ];
  const at = port ?? PORTS[protocol];
  return [
    ...(typed ? [[`${prefix}.type`, 'inet'] as const] : []),
    [`${prefix}.host`, name],
    ...(at === undefined ? [] : [[`${prefix}.port`, at] as const]),
  ];
}

/** The protocol node of a `<source>`; undefined when it cannot be said. */
export function readSource(type: string, source: XmlElement): Pair[] | undefined {
  const { attributes: a } = source;
  switch (type) {
    case 'file':
      return a.file === undefined
        ? undefined
        : [
            ['driver', 'file'],
            ['filename', a.file],
          ];
    case 'block':
      return a.dev === undefined
        ? undefined
        : [
            ['driver', 'host_device'],
            ['filename', a.dev],
          ];
    case 'dir':
      return a.dir === undefined
        ? undefined
        : [
            ['driver', 'vvfat'],
            ['dir', a.dir],
          ];
    case 'nvme': {
      const {
        domain = '0',
        bus = '0',
        slot = '0',
        function: fn = '0',
      } = child(source, 'address')?.attributes ?? {};
      const hex = (n: string, width: number): string => Number(n).toString(16).padStart(width, '0');
      return [
        ['driver', 'nvme'],
        ['device', `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(fn, 1)}`],
        ['namespace', a.namespace ?? '1'],
      ];
    }
    case 'network':
      return readNetwork(a.protocol ?? '', a.name ?? '', source);
    default:
      return undefined;
  }
}

function readNetwork(protocol: string, name: string, source: XmlElement): Pair[] | undefined {
  const hosts = children(source, 'host');
  const host: XmlElement | undefined = hosts[0];
  const slash = name.indexOf('/');
  switch (protocol) {
    case 'nbd': {
      const delay = child(source, 'reconnect')?.attributes.delay;
      return [
        ['driver', 'nbd'],
        ...server('server', 'nbd', host),
        ...(name === '' ? [] : [['export', name] as const]),
        ...(delay === undefined ? [] : [['reconnect-delay', delay] as const]),
      ];
    }
    case 'http':
    case 'https':
    case 'ftp':
    case 'ftps': {
      const { name: server = '', port } = host?.attributes ?? {};
      const { query } = source.attributes;
      const path = `${name.replace(/^\//, '')}${query === undefined ? '' : `?${query}`}`;
      const verify = child(source, 'ssl')?.attributes.verify;
      const readahead = child(source, 'readahead')?.attributes.size;
      const timeout = child(source, 'timeout')?.attributes.seconds;
      return [
        ['driver', protocol],
        ['url', `${protocol}://${server}${port === undefined ? '' : `:${port}`}/${path}`],
        ...(verify === undefined ? [] : [['sslverify', verify === 'no' ? 'off' : 'on'] as const]),
        ...(readahead === undefined ? [] : [['readahead', readahead] as const]),
        ...(timeout === undefined ? [] : [['timeout', timeout] as const]),
      ];
    }
    case 'ssh':
      return [['driver', 'ssh'], ...server('server', 'ssh', host, false), ['path', name]];
    case 'rbd': {
      if (slash < 0) return undefined;
      const snapshot = child(source, 'snapshot')?.attributes.name;
      const config = child(source, 'config')?.attributes.file;
      return [
        ['driver', 'rbd'],
        ['pool', name.slice(0, slash)],
        ['image', name.slice(slash + 1)],
        ...hosts.flatMap((h, i) => server(`server.${String(i)}`, 'rbd', h, false)),
        ...(snapshot === undefined ? [] : [['snapshot', snapshot] as const]),
        ...(config === undefined ? [] : [['conf', config] as const]),
      ];
    }
    case 'gluster':
      if (slash < 0) return undefined;
      return [
        ['driver', 'gluster'],
        ['volume', name.slice(0, slash)],
        ['path', name.slice(slash + 1)],
        ...hosts.flatMap((h, i) => server(`server.${String(i)}`, 'gluster', h)),
      ];
    case 'nfs': {
      const { user, group } = child(source, 'nfs')?.attributes ?? {};
      // A plus sign marks a number; names are the host's.
      const id = (text: string | undefined): string | undefined => /^\+?(\d+)$/.exec(text ?? '')?.[1];
      return [
        ['driver', 'nfs'],
        ['server.type', 'inet'],
        ['server.host', host?.attributes.name ?? ''],
        ['path', name],
        ...(id(user) === undefined ? [] : [['user', id(user) ?? ''] as const]),
        ...(id(group) === undefined ? [] : [['group', id(group) ?? ''] as const]),
      ];
    }
    case 'iscsi': {
      const [target, lun = '0'] = name.split('/');
      const { name: portal = '', port = PORTS.iscsi } = host?.attributes ?? {};
      const initiator = child(child(source, 'initiator'), 'iqn')?.attributes.name;
      return [
        ['driver', 'iscsi'],
        ['transport', 'tcp'],
        ['portal', `${portal}:${port}`],
        ['target', target],
        ['lun', lun],
        ...(initiator === undefined ? [] : [['initiator-name', initiator] as const]),
      ];
    }
    default:
      return undefined;
  }
}

/** ` key='value'` for every value that is there. */
export function attributes(values: Record<string, string | undefined>): string {
  return Object.entries(values)
    .map(([key, value]) => (value === undefined ? '' : ` ${key}='${escapeXml(value)}'`))
    .join('');
}

/** An element with its rows inside, or closed at once. */
export function element(
  name: string,
  values: Record<string, string | undefined>,
  rows: readonly string[] = [],
): string[] {
  const head = `<${name}${attributes(values)}`;
  return rows.length === 0 ? [`${head}/>`] : [`${head}>`, ...rows.map((row) => `  ${row}`), `</${name}>`];
}

export interface WrittenSource {
  /** The disk's type. */
  type: string;
  rows: string[];
}

/** The `<source>` of a protocol node; undefined when libvirt has none for it. `get` answers the node's options. */
export function writeSource(
  driver: string,
  get: (key: string) => string | undefined,
): WrittenSource | undefined {
  const plain = (type: string, values: Record<string, string | undefined>): WrittenSource => ({
    type,
    rows: element('source', values),
  });
  const network = (
    name: string | undefined,
    rows: string[],
    more: Record<string, string | undefined> = {},
  ): WrittenSource => ({
    type: 'network',
    rows: element('source', { protocol: driver, name, ...more }, rows),
  });
  const optional = (name: string, key: string, value: string | undefined): string[] =>
    value === undefined ? [] : element(name, { [key]: value });
  const host = (prefix: string): string[] =>
    get(`${prefix}.type`) === 'unix'
      ? element('host', { transport: 'unix', socket: get(`${prefix}.path`) })
      : element('host', { name: get(`${prefix}.host`), port: get(`${prefix}.port`) });
  const hosts = (): string[] => {
    const rows = [];
    for (
      let i = 0;
      i < 64 && (get(`server.${String(i)}.host`) ?? get(`server.${String(i)}.path`)) !== undefined;
      i++
    )
      rows.push(...host(`server.${String(i)}`));
    return rows;
  };
  switch (driver) {
    case 'file':
      return plain('file', { file: get('filename') });
    case 'host_device':
    case 'host_cdrom':
      return plain('block', { dev: get('filename') });
    case 'vvfat':
      return plain('dir', { dir: get('dir') });
    case 'nvme': {
      const at = /^([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(get('device') ?? '');
      if (at === null) return undefined;
      const [, domain, bus, slot, fn] = at.map((part) => `0x${part}`);
      return {
        type: 'nvme',
        rows: element(
          'source',
          { type: 'pci', managed: 'yes', namespace: get('namespace') },
          element('address', { domain, bus, slot, function: fn }),
        ),
      };
    }
    case 'nbd':
      return network(get('export'), [
        ...host('server'),
        ...optional('reconnect', 'delay', get('reconnect-delay')),
      ]);
    case 'ssh':
      return network(get('path'), host('server'));
    case 'gluster':
      return network(`${get('volume') ?? ''}/${get('path') ?? ''}`, hosts());
    case 'rbd':
      return network(`${get('pool') ?? ''}/${get('image') ?? ''}`, [
        ...hosts(),
        ...optional('snapshot', 'name', get('snapshot')),
        ...optional('config', 'file', get('conf')),
      ]);
    case 'nfs': {
      const mark = (id: string | undefined): string | undefined => (id === undefined ? undefined : `+${id}`);
      const user = mark(get('user'));
      const group = mark(get('group'));
      return network(get('path'), [
        ...element('host', { name: get('server.host') }),
        ...(user === undefined && group === undefined ? [] : element('nfs', { user, group })),
      ]);
    }
    case 'iscsi': {
      const [, name, port] = /^(.*?)(?::(\d+))?$/.exec(get('portal') ?? '') ?? [];
      const initiator = get('initiator-name');
      return network(`${get('target') ?? ''}/${get('lun') ?? '0'}`, [
        ...element('host', { name, port }),
        ...(initiator === undefined ? [] : element('initiator', {}, element('iqn', { name: initiator }))),
      ]);
    }
    case 'http':
    case 'https':
    case 'ftp':
    case 'ftps': {
      const url = /^[a-z]+:\/\/([^/:]*|\[[^\]]*\])(?::(\d+))?\/([^?]*)(?:\?(.*))?$/.exec(get('url') ?? '');
      if (url === null) return undefined;
      const [, name, port, path, query] = url;
      const verify = get('sslverify');
      return network(
        path,
        [
          ...element('host', { name, port }),
          ...optional('ssl', 'verify', verify === undefined ? undefined : verify === 'off' ? 'no' : 'yes'),
          ...optional('readahead', 'size', get('readahead')),
          ...optional('timeout', 'seconds', get('timeout')),
        ],
        { query },
      );
    }
    default:
      return undefined;
  }
}
