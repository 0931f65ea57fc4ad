/** From keys as `-blockdev` takes them to the layers of an image; what QEMU's drivers take and Platter need not know is let by. */
import type { ImageTree, VpcSize } from '#engine/block/image-tree.ts';
import { FILE_DRIVERS, FORMATS } from '#engine/block/formats/registry.ts';
import { PlatterError } from '#engine/errors.ts';
import type { KeyTree } from '#engine/qemu/model/tree.ts';
import { readBool, readSize } from '#engine/qemu/model/values.ts';
import { nearest } from '#engine/qemu/parse/nearest.ts';
import type { Secrets } from '../convert/secrets.ts';

/** Of every layer (`block.c`, bdrv_runtime_opts): how it is cached and shared, which changes nothing of what it holds. */
const EVERYWHERE = [
  'driver',
  'node-name',
  'read-only',
  'auto-read-only',
  'force-share',
  'discard',
  'detect-zeroes',
  'cache',
];

/** `block/file-posix.c`, raw_runtime_opts. */
const OF_FILES = [
  'filename',
  'aio',
  'aio-max-batch',
  'locking',
  'pr-manager',
  'drop-cache',
  'x-check-cache-dropped',
];

/** Beside `file`: the options of each format that QEMU's driver takes when it opens an image. */
const OF_FORMATS: Readonly<Record<string, readonly string[]>> = {
  raw: ['offset', 'size'],
  luks: ['key-secret'],
  qcow: ['backing', 'encrypt'],
  qed: ['backing'],
  vmdk: ['backing'],
  qcow2: [
    'backing',
    'data-file',
    'encrypt',
    'lazy-refcounts',
    'pass-discard-request',
    'pass-discard-snapshot',
    'pass-discard-other',
    'overlap-check',
    'cache-size',
    'l2-cache-size',
    'l2-cache-entry-size',
    'refcount-cache-size',
    'cache-clean-interval',
  ],
  vpc: ['force_size_calc'],
  parallels: ['prealloc-size', 'prealloc-mode'],
};

/** Throws `image-opts.*`, and UsageError for a secret that is not there. */
export function imageTree(keys: KeyTree, secrets: Secrets, prefix = ''): ImageTree {
  const text = (name: string): string | undefined => keys.children.get(name)?.param?.value;
  const below = (name: string): KeyTree | undefined => {
    const child = keys.children.get(name);
    return child !== undefined && child.children.size > 0 ? child : undefined;
  };
  const driver = text('driver');
  const file = below('file');
  if (driver === undefined && file === undefined && prefix === '') {
    throw new PlatterError('image-opts.empty', 'Nothing says which file it is', {
      option: '--image-opts',
      hint: 'Give driver=… and file.filename=…',
    });
  }
  if (isFile(driver, keys)) return fileTree(keys, prefix);
  if (driver !== undefined) checkDriver(driver, prefix);
  const known = [...EVERYWHERE, 'file', ...optionsOf(driver)];
  checkKeys(keys, driver ?? 'image', known, prefix);
  if (text('file') !== undefined) throw notSupported('a reference to a node by its name', `${prefix}file`);
  const tree: ImageTree = { driver, readOnly: flag(keys, 'read-only', prefix) };
  if (file !== undefined) tree.file = imageTree(file, secrets, `${prefix}file.`);
  else if (!prefix.endsWith('backing.')) {
    throw new PlatterError('block.no-file', `Nothing says where the ${driver} layer lies`, {
      option: `${prefix}file`,
      hint: `Give ${prefix}file.filename=…`,
    });
  }
  const data = below('data-file');
  if (data !== undefined) tree.dataFile = imageTree(data, secrets, `${prefix}data-file.`);
  const backing = keys.children.get('backing');
  if (backing?.param?.value === '') tree.backing = null;
  else if (backing?.param !== undefined)
    throw notSupported('a reference to a node by its name', `${prefix}backing`);
  else if (backing !== undefined) tree.backing = imageTree(backing, secrets, `${prefix}backing.`);
  const secret = text('key-secret') ?? below('encrypt')?.children.get('key-secret')?.param?.value;
  if (secret !== undefined) tree.secret = secrets.passphrase(secret);
  const offset = size(keys, 'offset', prefix);
  const length = size(keys, 'size', prefix);
  if (offset !== undefined || length !== undefined) tree.window = { offset: offset ?? 0, size: length };
  tree.vpcSize = vpcSize(keys, prefix);
  return tree;
}

/** Of a format that is found out only when the image is opened: those of all. */
function optionsOf(driver: string | undefined): readonly string[] {
  return driver === undefined ? Object.values(OF_FORMATS).flat() : (OF_FORMATS[driver] ?? []);
}

/** A file by its driver, or by having a name and no layers below it. */
function isFile(driver: string | undefined, keys: KeyTree): boolean {
  if (driver !== undefined) return FILE_DRIVERS.includes(driver);
  return keys.children.has('filename') && !keys.children.has('file');
}

function fileTree(keys: KeyTree, prefix: string): ImageTree {
  checkKeys(keys, 'file', [...EVERYWHERE, ...OF_FILES], prefix);
  const filename = keys.children.get('filename')?.param?.value;
  if (filename === undefined || filename === '') {
    throw new PlatterError('image-opts.no-filename', `A file needs a name: ${prefix}filename=…`, {
      option: `${prefix}filename`,
    });
  }
  return { driver: 'file', filename, readOnly: flag(keys, 'read-only', prefix) };
}

function checkDriver(driver: string, prefix: string): void {
  const names = FORMATS.map(({ name }) => name);
  if (names.includes(driver)) return;
  const near = nearest(driver, [...names, 'file']);
  throw new PlatterError('image-opts.no-driver', `There is no driver '${driver}' to open an image with`, {
    option: `${prefix}driver`,
    value: driver,
    expected: [...names, 'file'].join(', '),
    hint: near === undefined ? undefined : `Did you mean '${near}'?`,
  });
}

function checkKeys(keys: KeyTree, driver: string, known: readonly string[], prefix: string): void {
  const wrong = [...keys.children.keys()].find((key) => !known.includes(key));
  if (wrong === undefined) return;
  const near = nearest(wrong, known);
  throw new PlatterError('image-opts.unknown-option', `The driver ${driver} has no option '${wrong}'`, {
    option: prefix + wrong,
    value: driver,
    hint: near === undefined ? undefined : `Did you mean '${near}'?`,
  });
}

function size(keys: KeyTree, name: string, prefix: string): number | undefined {
  const value = keys.children.get(name)?.param?.value;
  if (value === undefined) return undefined;
  const bytes = readSize(value);
  if (bytes !== undefined && bytes >= 0 && Number.isSafeInteger(bytes)) return bytes;
  throw badValue(prefix + name, value, 'a size: bytes, or a number with k, M, G, T, P or E');
}

/** `block/vpc.c`, vpc_parse_options. */
function vpcSize(keys: KeyTree, prefix: string): VpcSize | undefined {
  const value = keys.children.get('force_size_calc')?.param?.value;
  if (value === undefined || value === 'chs' || value === 'current_size') return value;
  throw badValue(`${prefix}force_size_calc`, value, 'chs or current_size');
}

function flag(keys: KeyTree, name: string, prefix: string): boolean | undefined {
  const value = keys.children.get(name)?.param?.value;
  if (value === undefined) return undefined;
  const on = readBool(value);
  if (on === undefined) throw badValue(prefix + name, value, 'on or off');
  return on;
}

function badValue(option: string, value: string, expected: string): PlatterError {
  return new PlatterError('image-opts.bad-value', `${option} cannot be '${value}': expected ${expected}`, {
    option,
    value,
    expected,
  });
}

function notSupported(what: string, option: string): PlatterError {
  return new PlatterError('image-opts.not-supported', `${option} is ${what}: there are no named nodes here`, {
    option,
  });
}
