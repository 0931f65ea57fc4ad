/** What QEMU calls an image that was described by options (`block.c`, bdrv_refresh_filename). */
import type { KeyTree } from '#engine/qemu/model/tree.ts';
import { qemuLine, type QemuObject, type QemuValue } from '../qemu-img/order.ts';

/** Options with which the same file is another disk: they have to be in the name. */
const SIGNIFICANT = ['offset', 'size', 'force_size_calc', 'key-secret', 'encrypt.key-secret'];

/** The file's own name where opening that gives the same disk; else all that matters as `json:{…}`. `format`: what it was found to be. */
export function describedName(keys: KeyTree, format: string): string {
  const plain = plainName(keys);
  return plain ?? `json:${qemuLine(options(keys, format))}`;
}

function plainName(keys: KeyTree): string | undefined {
  const own = keys.children.get('filename')?.param?.value;
  if (own !== undefined) return own;
  if (significant(keys).length > 0) return undefined;
  const file = keys.children.get('file');
  return file?.children.has('file') === true ? undefined : file?.children.get('filename')?.param?.value;
}

function options(keys: KeyTree, format: string): QemuObject {
  const made: Record<string, QemuValue> = Object.fromEntries(significant(keys));
  made.driver = keys.children.get('driver')?.param?.value ?? format;
  const filename = keys.children.get('filename')?.param?.value;
  if (filename !== undefined) made.filename = filename;
  const file = keys.children.get('file');
  if (file !== undefined) made.file = options(file, 'file');
  return made;
}

function significant(keys: KeyTree): [string, QemuValue][] {
  return SIGNIFICANT.flatMap((name): [string, QemuValue][] => {
    let at: KeyTree | undefined = keys;
    for (const part of name.split('.')) at = at?.children.get(part);
    const param = at?.param;
    if (param === undefined) return [];
    return [[name, param.json === 'number' ? Number(param.value) : param.value]];
  });
}
