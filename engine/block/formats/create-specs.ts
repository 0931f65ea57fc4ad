/**
 * The options that a new image of each format takes, as data and in QEMU's order: for `-o help`, for reading `-o`, for the line that
 * `qemu-img create` prints, and for forms. QEMU: the `create_opts` of each `block/<format>.c`.
 */
import { PlatterError } from '../../errors.ts';
import { formatByName } from './registry.ts';

export interface CreateOptionSpec {
  readonly name: string;
  /** `size`: bytes, with a suffix of powers of 1024. `secret`: the id of a secret object. */
  readonly kind: 'text' | 'flag' | 'size' | 'number' | 'secret';
  readonly choices?: readonly string[];
  /** What counts when it is left out, where `qemu-img create` says so. */
  readonly otherwise?: string;
  /** A few words of English. */
  readonly help: string;
}

const size: CreateOptionSpec = { name: 'size', kind: 'size', help: "bytes of the guest's disk" };
const text = (name: string, help: string, choices?: readonly string[]): CreateOptionSpec => ({
  name,
  kind: 'text',
  help,
  choices,
});
const flag = (name: string, help: string, otherwise?: string): CreateOptionSpec => ({
  name,
  kind: 'flag',
  help,
  otherwise,
});
const bytes = (name: string, help: string, otherwise?: string): CreateOptionSpec => ({
  name,
  kind: 'size',
  help,
  otherwise,
});
const number = (name: string, help: string, otherwise?: string): CreateOptionSpec => ({
  name,
  kind: 'number',
  help,
  otherwise,
});

const backingFile = text('backing_file', 'the image that shows through where this one has nothing');
const backingFormat = text('backing_fmt', 'format of that image');
const RAW_PREALLOCATION = ['off', 'falloc', 'full'];

function cipherOptions(prefix: string): CreateOptionSpec[] {
  return [
    { name: `${prefix}key-secret`, kind: 'secret', help: 'id of the secret that holds the passphrase' },
    text(`${prefix}cipher-alg`, 'cipher and key length', ['aes-256', 'aes-192', 'aes-128']),
    text(`${prefix}cipher-mode`, 'mode of the cipher', ['xts', 'cbc', 'ctr', 'ecb']),
    text(`${prefix}ivgen-alg`, 'how initialisation vectors are made', ['plain64', 'plain', 'essiv']),
    text(`${prefix}ivgen-hash-alg`, 'hash of the initialisation vectors, for essiv'),
    text(`${prefix}hash-alg`, 'hash of the key derivation'),
    number(`${prefix}iter-time`, 'milliseconds that one attempt at the passphrase shall take'),
  ];
}

const COMPAT = text('compat', 'version of the format: 0.10 (v2) or 1.1 (v3)', ['0.10', '1.1', 'v2', 'v3']);
const QCOW2_COMMON: readonly CreateOptionSpec[] = [
  size,
  COMPAT,
  backingFile,
  backingFormat,
  text('data_file', 'another file that holds the data'),
  flag('data_file_raw', 'that file is a raw image by itself, always'),
  flag('lazy_refcounts', 'write reference counts late', 'off'),
  number('refcount_bits', 'bits of a reference count', '16'),
];

const SPECS: Readonly<Record<string, readonly CreateOptionSpec[]>> = {
  raw: [size, text('preallocation', 'how much is reserved beforehand', RAW_PREALLOCATION)],
  qcow2: [
    text('encrypt.format', 'encryption', ['luks']),
    ...cipherOptions('encrypt.'),
    bytes('cluster_size', 'bytes of one cluster', '65536'),
    flag('extended_l2', '32 subclusters for each cluster', 'off'),
    text('preallocation', 'how much is reserved beforehand', ['off', 'metadata', 'falloc', 'full']),
    {
      ...text('compression_type', 'how compressed clusters are packed', ['zlib', 'zstd']),
      otherwise: 'zlib',
    },
    ...QCOW2_COMMON,
  ],
  qed: [
    size,
    backingFile,
    backingFormat,
    bytes('cluster_size', 'bytes of one cluster', '65536'),
    bytes('table_size', 'clusters of one table'),
  ],
  vmdk: [
    size,
    text('adapter_type', 'the controller that the disk is meant for', [
      'ide',
      'lsilogic',
      'buslogic',
      'legacyESX',
    ]),
    backingFile,
    backingFormat,
    flag('compat6', 'for hardware of version 6', 'off'),
    { ...text('hwversion', 'version of the virtual hardware'), otherwise: 'undefined' },
    text('toolsversion', "version of the guest's tools"),
    text('subformat', 'kind of image', [
      'monolithicSparse',
      'monolithicFlat',
      'twoGbMaxExtentSparse',
      'twoGbMaxExtentFlat',
      'streamOptimized',
    ]),
    flag('zeroed_grain', 'zeroes by a mark in the table'),
  ],
  vdi: [size, flag('static', 'all blocks are there from the start', 'off')],
  vpc: [
    size,
    text('subformat', 'kind of image', ['dynamic', 'fixed']),
    flag('force_size', 'exactly this size instead of the next one that fits a geometry'),
  ],
  vhdx: [
    size,
    bytes('log_size', 'bytes of the log, at least 1 MiB', '1048576'),
    bytes('block_size', 'bytes of one block, 1 MiB to 256 MiB; 0: by the size of the disk', '0'),
    text('subformat', 'kind of image', ['dynamic', 'fixed']),
    flag('block_state_zero', 'blocks that are not there read as zeroes'),
  ],
  parallels: [size, bytes('cluster_size', 'bytes of one cluster', '1048576')],
  luks: [
    size,
    ...cipherOptions(''),
    text('preallocation', 'how much is reserved beforehand', RAW_PREALLOCATION),
  ],
};

const keyslot = (prefix: string): CreateOptionSpec[] => [
  text(`${prefix}state`, 'what the key slots shall become', ['active', 'inactive']),
  number(`${prefix}keyslot`, 'the one key slot that is meant'),
  { name: `${prefix}old-secret`, kind: 'secret', help: 'id of the secret that the key slots open with' },
  { name: `${prefix}new-secret`, kind: 'secret', help: 'id of the secret that shall open the key slot' },
  number(`${prefix}iter-time`, 'milliseconds that one attempt at the passphrase shall take'),
];
const AMEND: Readonly<Record<string, readonly CreateOptionSpec[]>> = {
  qcow2: [...keyslot('encrypt.'), ...QCOW2_COMMON.map((spec) => ({ ...spec, otherwise: undefined }))],
  luks: keyslot(''),
};

/** Throws `block.unknown-format`, and `block.cannot-create` for a format that is only read. */
export function createSpecs(format: string): readonly CreateOptionSpec[] {
  const specs = SPECS[formatByName(format).name];
  if (specs !== undefined) return specs;
  throw new PlatterError('block.cannot-create', `Images of the format ${format} cannot be written`, {
    option: 'format',
    value: format,
    hint: `Choose one of ${Object.keys(SPECS).join(', ')}.`,
  });
}

/** What `amend` can change. Throws `block.unknown-format`, `amend.unsupported-format`. */
export function amendSpecs(format: string): readonly CreateOptionSpec[] {
  const specs = AMEND[formatByName(format).name];
  if (specs !== undefined) return specs;
  throw new PlatterError(
    'amend.unsupported-format',
    `The options of a ${format} image cannot be changed afterwards`,
    { option: 'format', value: format, expected: 'qcow2 or luks' },
  );
}
