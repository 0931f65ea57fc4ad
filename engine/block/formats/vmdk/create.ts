/** An empty VMDK in each of the hosted kinds, laid out as `qemu-img create -f vmdk` does. */
import { PlatterError } from '../../../errors.ts';
import { run, wait, type Maybe, type Steps } from '../../../maybe.ts';
import type { CreateFiles, CreateOptions } from '../../format.ts';
import type { Storage } from '../../storage/storage.ts';
import { alignUp } from '../shared/check-fields.ts';
import { badOption, choice, diskSize, flag, knownOptions } from '../shared/options.ts';
import {
  DEFLATE,
  FLAG_COMPRESSED,
  FLAG_MARKERS,
  FLAG_NEWLINE_TEST,
  FLAG_REDUNDANT_TABLE,
  FLAG_ZERO_GRAIN,
  vmdk4Header,
  VMDK4_MAGIC,
} from './header.ts';

const SUBFORMATS = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
] as const;
const ADAPTERS = ['ide', 'buslogic', 'lsilogic', 'legacyESX'] as const;
/** Sectors. */
const GRAIN = 128;
const TABLE_ENTRIES = 512;
const DESCRIPTOR_SECTORS = 20;
/** Bytes of an extent of a split image. */
const SPLIT = 2 ** 31;
/** A sparse extent addresses its grains with 32-bit sector numbers; flat ones have no such bound. */
const MAX_SIZE = 2 ** 46;
const NO_PARENT = 0xffffffff;

interface Plan {
  subformat: (typeof SUBFORMATS)[number];
  size: number;
  zeroedGrain: boolean;
  adapter: string;
  hardware: string;
  tools: string;
  /** As it shall stand in the descriptor. */
  parent?: string;
  parentCid: number;
}

/**
 * Options: `size`, `subformat`, `adapter_type`, `hwversion`, `toolsversion`, `compat6`, `zeroed_grain`, `backing_file`, `backing_fmt`
 * (only vmdk), `parent_cid` (the content identifier that the backing image has now). `files` makes the files beside
 * the image that flat and split kinds consist of; without it they are refused (`vmdk.needs-files`).
 */
export function createVmdk(storage: Storage, options: CreateOptions, files?: CreateFiles): Maybe<void> {
  knownOptions('vmdk', options, [
    'subformat',
    'adapter_type',
    'hwversion',
    'toolsversion',
    'compat6',
    'zeroed_grain',
    'backing_file',
    'backing_fmt',
    'parent_cid',
  ]);
  const compat6 = flag(options, 'compat6', false);
  const version = options['hwversion'];
  const plan: Plan = {
    subformat: choice(options, 'subformat', SUBFORMATS),
    size: diskSize(options, MAX_SIZE),
    zeroedGrain: flag(options, 'zeroed_grain', false),
    adapter: choice(options, 'adapter_type', ADAPTERS),
    hardware: version === undefined || version === 'undefined' ? (compat6 ? '6' : '4') : String(version),
    tools: String(options['toolsversion'] ?? '2147483647'),
    parentCid: NO_PARENT,
  };
  const parent = options['backing_file'];
  if (parent !== undefined && parent !== '') {
    if (plan.subformat.endsWith('Flat') || plan.subformat === 'streamOptimized')
      throw badOption('backing_file', parent, 'another subformat: a ' + plan.subformat + ' image has none');
    plan.parent = String(parent);
    plan.parentCid = Number(options['parent_cid'] ?? NO_PARENT);
  }
  return run(create(storage, plan, files));
}

function* create(storage: Storage, plan: Plan, files: CreateFiles | undefined): Steps<void> {
  const { subformat, size } = plan;
  if (subformat === 'monolithicSparse' || subformat === 'streamOptimized') {
    const name = files?.name ?? storage.name;
    const text = descriptorText(plan, [`RW ${size / 512} SPARSE "${name}"`]);
    yield* writeSparse(storage, plan, size, text);
    return;
  }
  if (files === undefined) {
    throw new PlatterError(
      'vmdk.needs-files',
      `A ${subformat} image consists of several files, and only one can be made here`,
      {
        option: 'subformat',
        value: subformat,
        expected: 'monolithicSparse or streamOptimized',
      },
    );
  }
  const flat = subformat.endsWith('Flat');
  const lines: string[] = [];
  const step = subformat === 'monolithicFlat' ? Math.max(size, 1) : SPLIT;
  for (let start = 0, number = 1; start < size; start += step, number++) {
    const length = Math.min(step, size - start);
    const name = extentName(files.name, subformat, flat, number);
    const extent = yield* wait(files.create(name));
    try {
      if (flat) yield* wait(extent.truncate(length));
      else yield* writeSparse(extent, plan, length, '');
    } finally {
      yield* wait(extent.close());
    }
    lines.push(`RW ${length / 512} ${flat ? 'FLAT' : 'SPARSE'} "${name}"${flat ? ' 0' : ''}`);
  }
  yield* wait(storage.write(0, new TextEncoder().encode(descriptorText(plan, lines))));
}

/** `disk-flat.vmdk`, `disk-f001.vmdk`, `disk-s001.vmdk`. */
function extentName(name: string, subformat: string, flat: boolean, number: number): string {
  const dot = name.lastIndexOf('.');
  const [stem, suffix] = dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
  if (subformat === 'monolithicFlat') return `${stem}-flat${suffix}`;
  return `${stem}-${flat ? 'f' : 's'}${String(number).padStart(3, '0')}${suffix}`;
}

/** Header, both directories with their tables, all empty. `size` in bytes. */
function* writeSparse(storage: Storage, plan: Plan, size: number, text: string): Steps<void> {
  const compressed = plan.subformat === 'streamOptimized';
  const sectors = size / 512;
  const tableSectors = (TABLE_ENTRIES * 4) / 512;
  const tables = Math.ceil(Math.ceil(sectors / GRAIN) / TABLE_ENTRIES);
  const directorySectors = Math.ceil((tables * 4) / 512);
  const rgd = 1 + DESCRIPTOR_SECTORS;
  const gd = rgd + directorySectors + tables * tableSectors;
  const grains = alignUp(gd + directorySectors + tables * tableSectors, GRAIN);
  const header = vmdk4Header.encode({
    magic: VMDK4_MAGIC,
    version: compressed ? 3 : plan.zeroedGrain ? 2 : 1,
    flags:
      FLAG_NEWLINE_TEST |
      FLAG_REDUNDANT_TABLE |
      (compressed ? FLAG_COMPRESSED | FLAG_MARKERS : 0) |
      (plan.zeroedGrain ? FLAG_ZERO_GRAIN : 0),
    capacity: sectors,
    granularity: GRAIN,
    desc_offset: 1,
    desc_size: DESCRIPTOR_SECTORS,
    num_gtes_per_gt: TABLE_ENTRIES,
    rgd_offset: rgd,
    gd_offset: BigInt(gd),
    grain_offset: grains,
    filler: 0,
    check_bytes: Uint8Array.of(0x0a, 0x20, 0x0d, 0x0a),
    compress_algorithm: compressed ? DEFLATE : 0,
  });
  yield* wait(storage.truncate(grains * 512));
  for (const start of [rgd, gd]) {
    const directory = new DataView(new ArrayBuffer(directorySectors * 512));
    const first = start + directorySectors;
    for (let i = 0; i < tables; i++) directory.setUint32(i * 4, first + i * tableSectors, true);
    yield* wait(storage.write(start * 512, new Uint8Array(directory.buffer)));
  }
  yield* wait(storage.write(512, new TextEncoder().encode(text)));
  yield* wait(storage.write(0, header));
}

function descriptorText(plan: Plan, extents: string[]): string {
  const cid = globalThis.crypto.getRandomValues(new Uint32Array(1))[0] % 0xfffffffe;
  const heads = plan.adapter === 'ide' ? 16 : 255;
  return [
    '# Disk DescriptorFile',
    'version=1',
    `CID=${cid.toString(16)}`,
    `parentCID=${plan.parentCid.toString(16)}`,
    `createType="${plan.subformat}"`,
    ...(plan.parent === undefined ? [] : [`parentFileNameHint="${plan.parent}"`]),
    '',
    '# Extent description',
    ...extents,
    '',
    '# The Disk Data Base',
    '#DDB',
    '',
    `ddb.virtualHWVersion = "${plan.hardware}"`,
    `ddb.geometry.cylinders = "${Math.floor(plan.size / (63 * heads * 512))}"`,
    `ddb.geometry.heads = "${heads}"`,
    'ddb.geometry.sectors = "63"',
    `ddb.adapterType = "${plan.adapter}"`,
    `ddb.toolsVersion = "${plan.tools}"`,
    '',
  ].join('\n');
}
