/** The formats that a new image can have, and the options that the forms offer for each; names and values as `-o` of qemu-img has them. */
import type { FormatOptions } from '#contract/jobs.ts';

export interface OptionField {
  name: string;
  kind: 'choice' | 'flag' | 'size';
  /** What counts when it is left out. */
  otherwise: string | number | boolean;
  choices?: readonly (string | number)[];
  /** `choices` are bytes. */
  bytes?: boolean;
  /** Folded away at first. */
  advanced?: boolean;
  /** Whether it means anything beside the other options. */
  when?: (options: FormatOptions, compressed: boolean) => boolean;
}

export interface TargetFormat {
  name: string;
  /** The usual ending of its files. */
  extension: string;
  /** Its clusters can be written compressed. */
  compresses?: (options: FormatOptions) => boolean;
  /** It can rest on another image. */
  backing?: boolean;
  options: readonly OptionField[];
}

const KIB = 1024;
const MIB = KIB * KIB;
const powers = (from: number, to: number): number[] => {
  const list: number[] = [];
  for (let value = from; value <= to; value *= 2) list.push(value);
  return list;
};
const choice = (name: string, choices: readonly (string | number)[], more: Partial<OptionField> = {}) => ({
  name,
  kind: 'choice' as const,
  choices,
  otherwise: choices[0],
  ...more,
});
const flag = (name: string, more: Partial<OptionField> = {}) => ({
  name,
  kind: 'flag' as const,
  otherwise: false,
  ...more,
});

const version3 = (options: FormatOptions): boolean => options['compat'] !== '0.10';

/** How LUKS encrypts, by itself or inside of another format. */
const cipherFields = (prefix: string, when?: OptionField['when']): OptionField[] => {
  const more = { advanced: true, ...(when === undefined ? {} : { when }) };
  return [
    choice(`${prefix}cipher-alg`, ['aes-256', 'aes-192', 'aes-128'], more),
    choice(`${prefix}cipher-mode`, ['xts', 'cbc'], more),
    choice(`${prefix}ivgen-alg`, ['plain64', 'essiv'], more),
    choice(`${prefix}hash-alg`, ['sha256', 'sha512', 'sha1'], more),
    choice(`${prefix}iter-time`, [500, 1000, 2000, 5000, 10000], { otherwise: 2000, ...more }),
  ];
};

export const TARGET_FORMATS: readonly TargetFormat[] = [
  {
    name: 'qcow2',
    extension: 'qcow2',
    compresses: (options) => options['encrypt.format'] !== 'luks',
    backing: true,
    options: [
      choice('compression_type', ['zlib', 'zstd'], { when: (options, on) => on && version3(options) }),
      choice('preallocation', ['off', 'metadata', 'falloc', 'full'], { when: (_, on) => !on }),
      choice('cluster_size', powers(4 * KIB, 2 * MIB), { otherwise: 64 * KIB, bytes: true }),
      choice('compat', ['1.1', '0.10'], { advanced: true }),
      choice('refcount_bits', [1, 2, 4, 8, 16, 32, 64], { otherwise: 16, advanced: true, when: version3 }),
      flag('lazy_refcounts', { advanced: true, when: version3 }),
      flag('extended_l2', { advanced: true, when: version3 }),
      choice('encrypt.format', ['none', 'luks']),
      ...cipherFields('encrypt.', (options) => options['encrypt.format'] === 'luks'),
    ],
  },
  { name: 'raw', extension: 'img', options: [choice('preallocation', ['off', 'falloc', 'full'])] },
  {
    name: 'vmdk',
    extension: 'vmdk',
    compresses: ({ subformat }) => subformat === 'streamOptimized',
    options: [
      choice('subformat', [
        'monolithicSparse',
        'monolithicFlat',
        'twoGbMaxExtentSparse',
        'twoGbMaxExtentFlat',
        'streamOptimized',
      ]),
      choice('adapter_type', ['ide', 'lsilogic', 'buslogic', 'legacyESX'], { advanced: true }),
      flag('compat6', { advanced: true }),
      flag('zeroed_grain', { advanced: true }),
    ],
  },
  {
    name: 'vhdx',
    extension: 'vhdx',
    options: [
      choice('subformat', ['dynamic', 'fixed']),
      choice('block_size', [0, ...powers(MIB, 256 * MIB)], { bytes: true, advanced: true }),
      choice('log_size', powers(MIB, 64 * MIB), { bytes: true, advanced: true }),
    ],
  },
  {
    name: 'vpc',
    extension: 'vhd',
    options: [choice('subformat', ['dynamic', 'fixed']), flag('force_size')],
  },
  { name: 'vdi', extension: 'vdi', options: [flag('static')] },
  {
    name: 'qed',
    extension: 'qed',
    backing: true,
    options: [
      choice('cluster_size', powers(4 * KIB, 64 * MIB), { otherwise: 64 * KIB, bytes: true }),
      choice('table_size', [1, 2, 4, 8, 16], { otherwise: 4, advanced: true }),
    ],
  },
  {
    name: 'parallels',
    extension: 'hds',
    options: [choice('cluster_size', powers(64 * KIB, 4 * MIB), { otherwise: MIB, bytes: true })],
  },
  {
    name: 'luks',
    extension: 'luks',
    options: cipherFields(''),
  },
];

/** What `amend` can change of a qcow2 image. */
export const AMENDABLE: readonly OptionField[] = [
  choice('compat', ['1.1', '0.10']),
  flag('lazy_refcounts', { when: version3 }),
  choice('refcount_bits', [1, 2, 4, 8, 16, 32, 64], { otherwise: 16, when: version3, advanced: true }),
];

export function targetFormat(name: string): TargetFormat {
  return TARGET_FORMATS.find((format) => format.name === name) ?? TARGET_FORMATS[0];
}

/** Only what is known to the fields, means something now and differs from what counts anyway: so that the command stays short. */
export function neededOptions(
  fields: readonly OptionField[],
  options: FormatOptions,
  compressed = false,
): FormatOptions {
  const needed: FormatOptions = {};
  for (const { name, otherwise, when } of fields) {
    const value = options[name];
    if (value === undefined || value === otherwise) continue;
    if (when?.(options, compressed) ?? true) needed[name] = value;
  }
  return needed;
}

/** `disk.qcow2` → `disk.vhdx`; another name where that is the source itself. */
export function suggestedName(source: string, extension: string): string {
  const stem = source.replace(/\.[^.]*$/, '') || source;
  const name = `${stem}.${extension}`;
  return name === source ? `${stem}-copy.${extension}` : name;
}
