/** The options of `qemu-img create -f qcow2`, checked, with QEMU's defaults. */
import { PlatterError } from '../../../errors.ts';
import type { CreateOptions } from '../../format.ts';
import { COMPRESSION_NAMES, MAX_BACKING_NAME, MAX_L1_BYTES, TABLE_ENTRY } from './constants.ts';

export interface Qcow2Layout {
  /** Bytes, a multiple of 512. */
  size: number;
  version: 2 | 3;
  clusterSize: number;
  refcountBits: number;
  lazyRefcounts: boolean;
  extendedL2: boolean;
  compressionType: string;
  backingFile?: string;
  backingFormat?: string;
  dataFile?: string;
  dataFileRaw: boolean;
  l1Size: number;
}

const KNOWN = [
  'size',
  'compat',
  'cluster_size',
  'refcount_bits',
  'lazy_refcounts',
  'extended_l2',
  'compression_type',
  'backing_file',
  'backing_fmt',
  'data_file',
  'data_file_raw',
  // Done once the image is there: jobs/preallocate.ts.
  'preallocation',
  'encrypt.format',
  ...['key-secret', 'cipher-alg', 'cipher-mode', 'ivgen-alg', 'ivgen-hash-alg', 'hash-alg', 'iter-time'].map(
    (name) => `encrypt.${name}`,
  ),
];

/** Throws `block.unknown-option` and `block.bad-option`. */
export function checkCreateOptions(options: CreateOptions): Qcow2Layout {
  for (const option of Object.keys(options)) {
    if (options[option] === undefined || KNOWN.includes(option)) continue;
    throw new PlatterError('block.unknown-option', `The qcow2 format has no option "${option}"`, {
      option,
      expected: KNOWN.join(', '),
    });
  }
  const layout: Qcow2Layout = {
    size: Math.ceil(options.size / 512) * 512,
    version: version(options.compat),
    clusterSize: powerOfTwo(options, 'cluster_size', 65536, 512, 2 << 20),
    refcountBits: powerOfTwo(options, 'refcount_bits', 16, 1, 64),
    lazyRefcounts: flag(options, 'lazy_refcounts'),
    extendedL2: flag(options, 'extended_l2'),
    compressionType: text(options, 'compression_type') ?? 'zlib',
    backingFile: text(options, 'backing_file'),
    backingFormat: text(options, 'backing_fmt'),
    dataFile: text(options, 'data_file'),
    dataFileRaw: flag(options, 'data_file_raw'),
    l1Size: 0,
  };
  if (!Number.isSafeInteger(options.size) || options.size < 0) {
    throw bad('size', options.size, 'a number of bytes up to 2^53');
  }
  checkTogether(layout);
  const coverage = (layout.clusterSize / (layout.extendedL2 ? 16 : 8)) * layout.clusterSize;
  layout.l1Size = Math.ceil(layout.size / coverage);
  const most = (MAX_L1_BYTES / TABLE_ENTRY) * coverage;
  if (layout.size > most) {
    throw bad('size', layout.size, `at most ${most} bytes with clusters of ${layout.clusterSize} bytes`);
  }
  return layout;
}

/** What only some combinations allow (QEMU: qcow2_co_create). */
function checkTogether(layout: Qcow2Layout): void {
  if (!COMPRESSION_NAMES.includes(layout.compressionType)) {
    throw bad('compression_type', layout.compressionType, COMPRESSION_NAMES.join(' or '));
  }
  if (layout.version === 2) {
    const needV3 = 'compat=1.1';
    if (layout.lazyRefcounts) throw bad('lazy_refcounts', 'on', needV3);
    if (layout.refcountBits !== 16) throw bad('refcount_bits', layout.refcountBits, `16, or ${needV3}`);
    if (layout.extendedL2) throw bad('extended_l2', 'on', needV3);
    if (layout.compressionType !== 'zlib')
      throw bad('compression_type', layout.compressionType, `zlib, or ${needV3}`);
    if (layout.dataFile !== undefined) throw bad('data_file', layout.dataFile, needV3);
  }
  if (layout.extendedL2 && layout.clusterSize < 16384) {
    throw bad('extended_l2', 'on', 'a cluster_size of at least 16384 bytes');
  }
  if (layout.dataFileRaw && layout.dataFile === undefined)
    throw bad('data_file_raw', 'on', 'data_file as well');
  if (layout.dataFileRaw && layout.backingFile !== undefined) {
    throw bad('data_file_raw', 'on', 'no backing_file');
  }
  if (layout.backingFormat !== undefined && layout.backingFile === undefined) {
    throw bad('backing_fmt', layout.backingFormat, 'backing_file as well');
  }
  const name = new TextEncoder().encode(layout.backingFile ?? '').length;
  if (name > Math.min(MAX_BACKING_NAME, layout.clusterSize)) {
    throw bad('backing_file', `${name} bytes`, `at most ${MAX_BACKING_NAME} bytes`);
  }
}

function version(compat: CreateOptions[string]): 2 | 3 {
  if (compat === undefined || compat === '1.1' || compat === 'v3') return 3;
  if (compat === '0.10' || compat === 'v2') return 2;
  throw bad('compat', String(compat), '0.10 or 1.1');
}

function powerOfTwo(
  options: CreateOptions,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = Number(options[name] ?? fallback);
  if (value >= min && value <= max && Number.isInteger(Math.log2(value))) return value;
  throw bad(name, String(options[name]), `a power of two from ${min} to ${max}`);
}

function flag(options: CreateOptions, name: string): boolean {
  const value = options[name];
  if (value === undefined || value === false || value === 'off' || value === 'no') return false;
  if (value === true || value === 'on' || value === 'yes') return true;
  throw bad(name, String(value), 'on or off');
}

function text(options: CreateOptions, name: string): string | undefined {
  const value = options[name];
  // An empty name names nothing.
  return value === undefined || value === '' ? undefined : String(value);
}

function bad(option: string, value: string | number, expected: string): PlatterError {
  return new PlatterError('block.bad-option', `${option}=${value} is not possible: it needs ${expected}`, {
    option,
    value: String(value),
    expected,
  });
}
