/** File names of network protocols as the options that they stand for. Source: block/{nbd,ssh,iscsi,rbd,gluster,nfs,curl}.c. */
import type { Pair } from './write.ts';

const HOST = String.raw`(\[[^\]]+\]|[^:/?@]+)(?::(\d+))?`;

/** `%41` is `A`; text that is no valid escape stays. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

/** The pairs of the protocol node, or undefined when the name holds what options say differently (a password, a query). */
export function networkPairs(driver: string, name: string): Pair[] | undefined {
  const pairs = SPLIT[driver]?.(name);
  return pairs === undefined ? undefined : [['driver', driver], ...pairs];
}

const curl = (name: string): Pair[] => [['url', name]];

const SPLIT: Readonly<Partial<Record<string, (name: string) => Pair[] | undefined>>> = {
  http: curl,
  https: curl,
  ftp: curl,
  ftps: curl,
  nbd,
  ssh,
  iscsi,
  rbd,
  gluster,
  nfs,
};

function nbd(name: string): Pair[] | undefined {
  const socket =
    /^nbd\+unix:\/\/(?:\/([^?]*))?\?socket=([^&]+)$/.exec(name) ??
    /^nbd:unix:(?<path>[^:]+)(?::exportname=(?<target>.*))?$/.exec(name);
  if (socket !== null) {
    const path = socket.groups?.path ?? decode(socket[2]);
    const target = socket.groups === undefined ? decode(socket[1] ?? '') : (socket.groups.target ?? '');
    return [['server.type', 'unix'], ['server.path', path], ...optional('export', target)];
  }
  const tcp =
    new RegExp(String.raw`^nbd(?:\+tcp)?://${HOST}(?:/([^?]*))?$`).exec(name) ??
    /^nbd:([^:]+):(\d+)(?::exportname=(.*))?$/.exec(name);
  if (tcp === null) return undefined;
  return [
    ['server.type', 'inet'],
    ['server.host', bare(tcp[1])],
    ['server.port', tcp[2] ?? '10809'],
    ...optional('export', name.includes('://') ? decode(tcp[3] ?? '') : (tcp[3] ?? '')),
  ];
}

function ssh(name: string): Pair[] | undefined {
  const found = new RegExp(
    String.raw`^ssh://(?:([^@/:]+)@)?${HOST}(/[^?]*)(?:\?host_key_check=(no|yes))?$`,
  ).exec(name);
  if (found === null) return undefined;
  return [
    ['server.host', bare(found[2])],
    ['server.port', found[3] ?? '22'],
    ['path', decode(found[4])],
    ...optional('user', decode(found[1] ?? '')),
    ...(found[5] === 'no' ? [['host-key-check.mode', 'none'] as const] : []),
  ];
}

function iscsi(name: string): Pair[] | undefined {
  // A user and password in the name need a secret object, which the line does not have.
  const found = new RegExp(String.raw`^iscsi://${HOST}/([^/?@]+)/(\d+)$`).exec(name);
  if (found === null) return undefined;
  return [
    ['transport', 'tcp'],
    ['portal', found[2] === undefined ? found[1] : `${found[1]}:${found[2]}`],
    ['target', decode(found[3])],
    ['lun', found[4]],
  ];
}

const RBD_KEYS: Readonly<Partial<Record<string, string>>> = { id: 'user', conf: 'conf' };

function rbd(name: string): Pair[] | undefined {
  const found =
    /^rbd:([^/@:\\]+)\/(?:([^/@:\\]+)\/)?([^/@:\\]+)(?:@([^:\\]+))?((?::[^:=\\]+=[^:\\]+)*)$/.exec(name);
  if (found === null) return undefined;
  const extra: Pair[] = [];
  for (const pair of found[5].split(':').filter((p) => p !== '')) {
    const [key, ...value] = pair.split('=');
    const known = Object.hasOwn(RBD_KEYS, key) ? RBD_KEYS[key] : undefined;
    if (known === undefined) return undefined;
    extra.push([known, value.join('=')]);
  }
  return [
    ['pool', found[1]],
    ...optional('namespace', found[2]),
    ['image', found[3]],
    ...optional('snapshot', found[4]),
    ...extra,
  ];
}

function gluster(name: string): Pair[] | undefined {
  const found = new RegExp(String.raw`^gluster(?:\+tcp)?://${HOST}/([^/?]+)/([^?]+)$`).exec(name);
  if (found === null) return undefined;
  return [
    ['volume', decode(found[3])],
    ['path', decode(found[4])],
    ['server.0.type', 'inet'],
    ['server.0.host', bare(found[1])],
    ['server.0.port', found[2] ?? '24007'],
  ];
}

function nfs(name: string): Pair[] | undefined {
  const found = /^nfs:\/\/([^:/?]+)(\/[^?]+)$/.exec(name);
  if (found === null) return undefined;
  return [
    ['server.type', 'inet'],
    ['server.host', found[1]],
    ['path', decode(found[2])],
  ];
}

function optional(key: string, value: string | undefined): Pair[] {
  return value === undefined || value === '' ? [] : [[key, value]];
}
