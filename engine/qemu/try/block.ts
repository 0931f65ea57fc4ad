/**
 * Back ends of the trial. A simple graph over an image that is there (format, filter that only passes on, file) is opened for
 * reading, with a temporary file for the guest's writes. In every other graph each file is an empty one that the trial makes,
 * and the line's options stay as they are: nothing of the person's can be written there, and locks and permissions are QEMU's.
 */
import type { Param } from '../model.ts';
import { DRIVE_KEYS } from '../model/drives.ts';
import { readBool } from '../model/values.ts';
import { tagValues, type Schema } from '../schema/schema.ts';
import type { Changes } from './changes.ts';
import { isUnknownProtocol, MAKEABLE, type Behind, type Images, type Purpose } from './images.ts';
import type { FileFacts } from './types.ts';
import { printParam, type Words } from './words.ts';

/** Drivers that read and write nothing but their children. */
const PASS_ON: ReadonlySet<string> = new Set(
  'raw qcow2 qcow qed vmdk vdi vpc vhdx parallels luks bochs cloop dmg throttle'.split(' '),
);
/** Drivers that may stand in a graph of empty files. */
const WITHIN: ReadonlySet<string> = new Set([
  ...PASS_ON,
  ...'null-co null-aio blkdebug blkverify blklogwrites blkreplay compress copy-before-write copy-on-read preallocate quorum'.split(
    ' ',
  ),
  'snapshot-access',
]);
/** Drivers that take a file's name. */
const FILES: ReadonlySet<string> = new Set(['file', 'host_device', 'host_cdrom']);

/** Options of any node, kept when another driver takes a node's place. */
const GENERIC = /^(?:node-name|read-only|auto-read-only|force-share|detect-zeroes|discard|cache(?:\..*)?)$/;
/** Options of a node that lead out of QEMU. */
const LEADS_OUT = /(?:^|\.)(?:config|pr-manager|x-image|x-raw|url|dir|socket|keyring|conf|key-path)$/;

/** One file name in the parameters of a back end. */
interface Leaf {
  /** The parameter with the name, and the node's prefix: empty, `file.`, `backing.file.`, … */
  param: Param;
  prefix: string;
  behind: Behind;
}

export interface BackEnd {
  words: Words;
  leaves: Leaf[];
  /** Every file is an image that is there, and every driver only passes on. */
  simple: boolean;
}

/** Prefix of a key's node: `backing.file.` of `backing.file.driver`. */
const prefixOf = (key: string): string => key.slice(0, key.lastIndexOf('.') + 1);
const lastOf = (key: string): string => key.slice(key.lastIndexOf('.') + 1);

export interface Workshop {
  images: Images;
  changes: Changes;
  schema: Schema;
}

/**
 * Reads a `-drive` or `-blockdev` and takes out what must not be. File names are still the line's own afterwards.
 * @param bound the image bound to it
 * @param over the format that another node reads this one as
 */
export function readBackEnd(
  words: Words,
  shop: Workshop,
  bound: FileFacts | undefined,
  purpose: Purpose,
  over?: string,
): BackEnd {
  const drive = words.option.name === 'drive';
  const known = tagValues(shop.schema, 'BlockdevOptions');
  let simple = true;
  for (const param of words.params) {
    const key = lastOf(param.key);
    if (key !== 'driver' && !(drive && param.key === 'format')) continue;
    // QEMU refuses a driver that it does not know, whatever else stands there.
    const foreign = !WITHIN.has(param.value) && !FILES.has(param.value) && known.includes(param.value);
    if (foreign) replaceNode(words, prefixOf(param.key), param, drive);
    else if (!PASS_ON.has(param.value) && !FILES.has(param.value)) simple = false;
  }
  // A value that is none is left for QEMU to refuse.
  if (words.params.some(isNoBoolean)) simple = false;
  for (const param of words.remove((p) => LEADS_OUT.test(p.key))) {
    shop.changes.add(param.span, printParam(param), 'leads-out');
  }
  const leaves: Leaf[] = [];
  for (const param of words.params) {
    if (!isFileName(param, drive) || isUnknownProtocol(param.value, known)) continue;
    const main = /^(?:file|file\.filename|filename)$/.test(param.key);
    const prefix = prefixOf(param.key);
    if (/^null-(?:co|aio):/.test(param.value)) continue;
    const format = formatAbove(words, drive ? `${prefix}file.` : prefix) ?? over;
    const behind = shop.images.behind(param.value, main ? bound : undefined, format, purpose);
    if (!behind.real) simple = false;
    leaves.push({ param, prefix, behind });
  }
  return { words, leaves, simple };
}

function isNoBoolean(param: Param): boolean {
  if (!/^(?:read-?only|snapshot)$/.test(lastOf(param.key))) return false;
  return readBool(param.value) === undefined || (param.json !== undefined && param.json !== 'boolean');
}

/** The format as which the file of a node is read: the nearest one above that says more than raw. @param prefix of the file's node */
function formatAbove(words: Words, prefix: string): string | undefined {
  let at = prefix;
  while (at !== '') {
    at = at.slice(0, at.slice(0, -1).lastIndexOf('.') + 1);
    const driver = words.get(`${at}driver`)?.value ?? (at === '' ? words.get('format')?.value : undefined);
    if (driver !== undefined && MAKEABLE.has(driver)) return driver;
  }
  return undefined;
}

function isFileName(param: Param, drive: boolean): boolean {
  if (param.json !== undefined && param.json !== 'string') return false;
  if (param.value === '') return false;
  return lastOf(param.key) === 'filename' || (drive && param.key === 'file');
}

/** A server, a host's device, a folder: an empty file takes the node's place. */
function replaceNode(words: Words, prefix: string, driver: Param, drive: boolean): void {
  const top = drive && prefix === '';
  const gone = words.remove(
    (p) =>
      p.key.startsWith(prefix) &&
      !GENERIC.test(p.key.slice(prefix.length)) &&
      !(top && DRIVE_KEYS.has(p.key) && !['file', 'format', 'driver'].includes(p.key)),
  );
  const file = { ...driver, key: '', form: 'pair' as const };
  const name =
    gone.find((p) => lastOf(p.key) === 'filename' || p.key === 'file')?.value ?? `${driver.value}:`;
  if (top)
    words.params.push(
      { ...file, key: 'format', value: 'raw' },
      { ...file, key: 'file', value: `${driver.value}:${name}` },
    );
  else
    words.params.unshift(
      {
        ...file,
        key: `${prefix}driver`,
        value: 'file',
        ...(words.option.json === true ? { json: 'string' } : {}),
      },
      { ...file, key: `${prefix}filename`, value: `${driver.value}:${name}` },
    );
}

/** Puts the files in. With `reading` the images themselves are opened, for reading only; otherwise all are empty ones. */
export function finishBackEnd({ words, leaves }: BackEnd, reading: boolean, shop: Workshop): void {
  const drive = words.option.name === 'drive';
  for (const { param, behind } of leaves) {
    const file =
      behind.real && !reading
        ? shop.images.behind(`twin:${behind.path}`, undefined, behind.format, 'disk')
        : behind;
    if (file !== behind) shop.images.aliases.set(file.path, param.value);
    words.params = words.params.map((p) => (p === param ? { ...p, value: file.path, form: pairForm(p) } : p));
    const reason = reading && behind.real ? undefined : file === behind ? behind.reason : 'graph-stand-in';
    if (reason !== undefined)
      shop.changes.add(param.span, param.value, reason, undefined, {
        file: param.value,
        format: file.format,
      });
  }
  if (!reading) {
    if (leaves.length > 0) standInFormats(words, drive, shop);
    return;
  }
  if (drive) readDrive(words);
  else readNodes(words);
}

const pairForm = (p: Param): Param['form'] => (p.form === 'implied' ? 'implied' : 'pair');

/** Formats in which no empty image can be made are read as raw, and stand-ins are not encrypted. */
function standInFormats(words: Words, drive: boolean, shop: Workshop): void {
  for (const param of words.params) {
    const isFormat = lastOf(param.key) === 'driver' || (drive && param.key === 'format');
    if (!isFormat || !PASS_ON.has(param.value) || MAKEABLE.has(param.value) || param.value === 'throttle')
      continue;
    words.set(param.key, 'raw');
    shop.changes.add(param.span, printParam(param), 'format-stand-in', 'raw');
  }
  for (const param of words.remove((p) => /(?:^|\.)(?:encrypt\..*|key-secret)$/.test(p.key)))
    shop.changes.add(param.span, printParam(param), 'encrypted-stand-in');
}

/** A drive whose writes go to a temporary file of QEMU's own, in the trial's folder. */
function readDrive(words: Words): void {
  for (const p of words.params) {
    if (p.key.includes('.') && /\.read-?only$/.test(p.key)) words.set(p.key, 'on', 'boolean');
  }
  words.set('snapshot', 'on');
}

/** Every node of the option opened for reading. */
function readNodes(words: Words): void {
  for (const p of words.params) {
    if (lastOf(p.key) !== 'driver') continue;
    words.set(`${prefixOf(p.key)}read-only`, 'on', 'boolean');
  }
}
