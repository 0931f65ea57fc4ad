/** The text that describes a VMDK (VMware, "Virtual Disk Format 5.0", "The Descriptor File"; QEMU `vmdk_parse_extents`). */
import { PlatterError } from '../../../errors.ts';
import type { HeaderField } from '../../format.ts';
import { checkFields } from '../shared/check-fields.ts';

export type ExtentType = 'FLAT' | 'VMFS' | 'SPARSE' | 'VMFSSPARSE' | 'SESPARSE' | 'ZERO';
const EXTENT_TYPES: readonly string[] = ['FLAT', 'VMFS', 'SPARSE', 'VMFSSPARSE', 'SESPARSE', 'ZERO'];
const CREATE_TYPES: readonly string[] = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
  'vmfs',
  'vmfsSparse',
  'seSparse',
];
/** QEMU reads the text up to here; no real one has more than a few KiB. */
export const MAX_DESCRIPTOR = 1 << 20;
const MAX_EXTENTS = 4096;
/** CID of "no parent". */
export const NO_PARENT = 0xffffffff;

export interface ExtentLine {
  /** Sectors of 512 bytes. */
  sectors: number;
  type: ExtentType;
  file: string;
  /** Where the data begins in `file`, sectors; of flat extents. */
  offset: number;
  /** The line itself, for errors. */
  line: string;
}

export interface Descriptor {
  text: string;
  createType: string;
  cid: number;
  parentCid: number;
  parentHint?: string;
  extents: ExtentLine[];
}

/** Parses the text. Throws `vmdk.bad-field` and `vmdk.unsupported`. */
export function parseDescriptor(bytes: Uint8Array, image: string): Descriptor {
  const text = decode(bytes);
  const check = checkFields('vmdk', image);
  const createType = value(text, 'createType');
  check.field('createType', createType, createType !== undefined, 'a type in quotes');
  check.unsupported(
    'createType',
    createType,
    !CREATE_TYPES.includes(createType ?? ''),
    CREATE_TYPES.join(', '),
  );
  const cid = contentId(text, 'CID');
  const parentCid = contentId(text, 'parentCID');
  check.field('CID', value(text, 'CID'), cid !== undefined, 'a hexadecimal number');
  check.field('parentCID', value(text, 'parentCID'), parentCid !== undefined, 'a hexadecimal number');
  return {
    text,
    createType: createType ?? '',
    cid: cid ?? 0,
    parentCid: parentCid ?? NO_PARENT,
    parentHint: value(text, 'parentFileNameHint'),
    extents: extentLines(text, image),
  };
}

/** Whether a file that starts with `head` may be such a text: comments and blank lines, then `version=1`, 2 or 3. */
export function looksLikeDescriptor(head: Uint8Array): boolean {
  for (const line of decode(head).split('\n')) {
    const plain = line.replace(/\r$/, '');
    if (plain.startsWith('#') || /^ *$/.test(plain)) continue;
    return /^version=[123]$/.test(plain);
  }
  return false;
}

/** The text with another CID; the length of what follows does not matter to anybody. */
export function withCid(text: string, cid: number): string {
  return text.replace(/^(\s*CID\s*=\s*)[0-9a-fA-F]+/m, (_all, name: string) => name + cid.toString(16));
}

/** The text of an image of one sparse extent with another size: `sectors` in the extent's line, and as many cylinders as that gives. */
export function withSectors(text: string, sectors: number): string {
  const heads = Number(value(text, 'ddb.geometry.heads'));
  const track = Number(value(text, 'ddb.geometry.sectors'));
  const cylinders = Math.floor(sectors / (heads * track));
  const sized = text.replace(/^(\s*RW\s+)\d+(\s+SPARSE\s)/m, (_all, before: string, after: string) =>
    before.concat(String(sectors), after),
  );
  if (!Number.isSafeInteger(cylinders)) return sized;
  return sized.replace(/^(\s*ddb\.geometry\.cylinders\s*=\s*)"\d*"/m, `$1"${cylinders}"`);
}

/** Every `name = value` and every extent in file order. `base`: the text's offset in the file, bytes. */
export function describeDescriptor(descriptor: Descriptor, base: number): HeaderField[] {
  const fields: HeaderField[] = [];
  let offset = base;
  for (const line of descriptor.text.split('\n')) {
    const named = /^\s*([A-Za-z][\w.]*)\s*=\s*(.*?)\s*$/.exec(line);
    const extent = /^\s*(RW|RDONLY|NOACCESS)\s+(.*?)\s*$/.exec(line);
    if (named !== null) {
      fields.push({ name: named[1], offset, length: line.length, value: named[2].replace(/^"|"$/g, '') });
    } else if (extent !== null) {
      fields.push({ name: 'extent', offset, length: line.length, value: line.trim() });
    }
    offset += new TextEncoder().encode(line).length + 1;
  }
  return fields;
}

function decode(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function value(text: string, name: string): string | undefined {
  const found = new RegExp(
    `^[ \\t]*${name}[ \\t]*=[ \\t]*(?:"([^"\\n\\r]*)"|([^\\n\\r"]*?))[ \\t]*\\r?$`,
    'm',
  ).exec(text);
  return found?.[1] ?? found?.[2];
}

function contentId(text: string, name: string): number | undefined {
  const digits = value(text, name);
  return digits !== undefined && /^[0-9a-fA-F]{1,8}$/.test(digits) ? parseInt(digits, 16) : undefined;
}

function extentLines(text: string, image: string): ExtentLine[] {
  const lines: ExtentLine[] = [];
  for (const whole of text.split('\n')) {
    const line = whole.trim();
    const found = /^(RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z0-9]+)(?:\s+"([^"]*)")?(?:\s+(\d+))?/.exec(line);
    if (found === null) continue;
    const [, , sectors, type, file = '', offset] = found;
    const known = EXTENT_TYPES.includes(type);
    const needsOffset = type === 'FLAT';
    if (
      !known ||
      Number(sectors) <= 0 ||
      (needsOffset && offset === undefined) ||
      (file === '' && type !== 'ZERO')
    ) {
      throw new PlatterError(
        'vmdk.bad-extent',
        `"${image}" has an extent line that makes no sense: ${line.slice(0, 200)}`,
        {
          image,
          field: 'extent',
          value: line.slice(0, 200),
          expected: 'RW <sectors> <type> "<file>" [<offset>]',
        },
      );
    }
    lines.push({
      sectors: Number(sectors),
      type: type as ExtentType,
      file,
      offset: Number(offset ?? 0),
      line,
    });
    if (lines.length > MAX_EXTENTS) throw tooMany(image);
  }
  return lines;
}

function tooMany(image: string): PlatterError {
  return new PlatterError('vmdk.bad-extent', `"${image}" lists more than ${MAX_EXTENTS} extents`, {
    image,
    field: 'extent',
    expected: `at most ${MAX_EXTENTS}`,
  });
}
