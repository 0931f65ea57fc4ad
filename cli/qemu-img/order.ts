/**
 * The order in which QEMU prints the members of an object: that of its hash table (`qobject/qdict.c`), which depends on the names
 * alone. Keeping it makes our text and JSON the same as qemu-img's, byte for byte.
 */

const BUCKETS = 512;

/** A value of the kind that QEMU's objects hold. */
export type QemuValue = string | number | boolean | QemuValue[] | QemuObject;
export interface QemuObject {
  [name: string]: QemuValue;
}

/** The object's members in QEMU's order: by bucket; within one the member that was put in last comes first. */
export function qemuEntries(object: QemuObject): [string, QemuValue][] {
  return Object.entries(object)
    .map(([name, value], index) => ({ name, value, index, bucket: bucketOf(name) }))
    .sort((a, b) => a.bucket - b.bucket || b.index - a.index)
    .map(({ name, value }) => [name, value]);
}

/** The hash of TDB, Samba's trivial database, over the bytes of the name; 32-bit arithmetic. */
function bucketOf(name: string): number {
  const bytes = new TextEncoder().encode(name);
  let value = Math.imul(0x238f13af, bytes.length);
  for (const [index, byte] of bytes.entries()) value = (value + (byte << ((index * 5) % 24))) | 0;
  return ((Math.imul(1103515243, value) + 12345) >>> 0) % BUCKETS;
}

/** JSON as QEMU lays it out: four blanks a level, every element on a line of its own. */
export function qemuJson(value: QemuValue, indent = ''): string {
  const inner = `${indent}    `;
  const wrap = (open: string, parts: string[], close: string): string =>
    parts.length === 0
      ? `${open}\n${indent}${close}`
      : `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
  if (Array.isArray(value))
    return wrap(
      '[',
      value.map((element) => qemuJson(element, inner)),
      ']',
    );
  if (typeof value === 'object') {
    return wrap(
      '{',
      qemuEntries(value).map(([name, member]) => `${qemuString(name)}: ${qemuJson(member, inner)}`),
      '}',
    );
  }
  return typeof value === 'string' ? qemuString(value) : String(value);
}

/** JSON on one line, as in `json:{…}`. */
export function qemuLine(value: QemuValue): string {
  if (Array.isArray(value)) return `[${value.map(qemuLine).join(', ')}]`;
  if (typeof value !== 'object') return typeof value === 'string' ? qemuString(value) : String(value);
  const members = qemuEntries(value).map(([name, member]) => `${qemuString(name)}: ${qemuLine(member)}`);
  return `{${members.join(', ')}}`;
}

/** QEMU escapes everything beyond ASCII, in capitals. */
export function qemuString(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]|\\u[0-9a-f]{4}/g, (found) =>
    found.length > 1
      ? `\\u${found.slice(2).toUpperCase()}`
      : `\\u${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
}
