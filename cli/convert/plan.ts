/** From the words of `platter convert` to what is to be done, or a UsageError that says what does not go together. */
import { createSpecs } from '#engine/block/formats/create-specs.ts';
import { formatByName } from '#engine/block/formats/registry.ts';
import type { Values } from '../frame/command.ts';
import { parseCount, parseSize } from '../frame/numbers.ts';
import { UsageError } from '../frame/usage-error.ts';
import { optionValues, splitOptions, type GivenOptions } from './create-options.ts';
import { namedImage, type NamedImage } from '../image-opts/named-image.ts';
import type { CONVERT_OPTIONS } from './options.ts';
import { Secrets } from './secrets.ts';

export interface Conversion {
  sources: NamedImage[];
  /** As it was named. */
  target: string;
  /** In place: what is to be opened. */
  into?: NamedImage;
  format: string;
  create: Record<string, string | number | boolean>;
  snapshot?: string;
  compress: boolean;
  zeroed: boolean;
  sparse?: number;
  bitmaps?: 'all' | 'skip-broken';
  salvage: boolean;
  rate?: number;
  follow: boolean;
}

/** QEMU: MAX_BUF_SECTORS. */
const MOST_SPARSE = 16 << 20;
const MOST_COROUTINES = 16;

export function planConversion(
  values: Values<typeof CONVERT_OPTIONS>,
  operands: readonly string[],
): Conversion {
  const format = formatByName(values.target ?? 'raw').name;
  const inPlace = values['no-create'];
  const target = operands[operands.length - 1];
  if (values.coroutines !== undefined) parseCount(values.coroutines, '-m', 1, MOST_COROUTINES);
  checkTogether(values, operands.length - 1);
  if (!inPlace && target.startsWith('json:'))
    throw new UsageError('a new image is a file: json:{…} names one that is there, with -n');
  const secrets = new Secrets(values.object);
  const specs = inPlace ? [] : createSpecs(format);
  const given = splitOptions(values.options, specs);
  if (given.has('size')) throw new UsageError("option '-o' cannot set the size: it is that of the source");
  nameBacking(values, given, format);
  return {
    sources: operands.slice(0, -1).map((source) => namedImage(source, values)),
    target,
    into: inPlace ? targetImage(target, values) : undefined,
    format,
    create: inPlace ? Object.fromEntries(given) : optionValues(given, specs, secrets),
    snapshot: snapshotName(values.snapshot),
    compress: values.compress,
    zeroed: values['target-is-zero'],
    sparse: sparseBytes(values.sparse),
    bitmaps: values['skip-broken-bitmaps'] ? 'skip-broken' : values.bitmaps ? 'all' : undefined,
    salvage: values.salvage,
    rate: values['rate-limit'] === undefined ? undefined : parseSize(values['rate-limit'], '--rate-limit'),
    follow: values.follow,
  };
}

/** The format is said by -O, which is raw when left out, or by the options. */
function targetImage(target: string, values: Values<typeof CONVERT_OPTIONS>): NamedImage {
  const options = values['target-image-opts'];
  return namedImage(target, {
    'image-opts': options,
    object: values.object,
    format: options || target.startsWith('json:') ? undefined : formatByName(values.target ?? 'raw').name,
  });
}

function checkTogether(values: Values<typeof CONVERT_OPTIONS>, sources: number): void {
  const refuse = (when: boolean, message: string): void => {
    if (when) throw new UsageError(message);
  };
  refuse(values['skip-broken-bitmaps'] && !values.bitmaps, '--skip-broken-bitmaps goes with --bitmaps');
  refuse(values['no-create'] && values.options.length > 0, '-o says how a target is made: not with -n');
  refuse(values['target-image-opts'] && !values['no-create'], '--target-image-opts goes with -n');
  refuse(values['target-is-zero'] && !values['no-create'], '--target-is-zero goes with -n');
  refuse(
    values['target-is-zero'] && values.backing !== undefined,
    'a target with a backing file does not read as zeroes: --target-is-zero and -B do not go together',
  );
  refuse(sources > 1 && values.backing !== undefined, 'several sources cannot stand on one backing file');
  refuse(sources > 1 && values.snapshot !== undefined, 'a snapshot is that of one source: give only one');
  refuse(sources > 1 && values.bitmaps, 'bitmaps are those of one source: give only one');
  refuse(values['copy-range'] && values.compress, '-C and -c do not go together');
  refuse(values['copy-range'] && values.sparse !== undefined, '-C and -S do not go together');
  refuse(values['copy-range'] && values.salvage, '-C and --salvage do not go together');
}

function nameBacking(values: Values<typeof CONVERT_OPTIONS>, given: GivenOptions, format: string): void {
  for (const [name, value] of [
    ['backing_file', values.backing],
    ['backing_fmt', values['backing-format']],
  ] as const) {
    if (value === undefined) continue;
    const can = values['no-create'] || createSpecs(format).some((spec) => spec.name === name);
    if (!can) throw new UsageError(`a ${format} image cannot have a backing file`);
    given.set(name, value);
  }
}

/** `-l NAME`, or `-l snapshot.id=…` and `snapshot.name=…`. */
export function snapshotName(text: string | undefined): string | undefined {
  if (text?.startsWith('snapshot.') !== true) return text;
  const members = new Map(text.split(',').map((pair) => pair.split('=', 2) as [string, string]));
  const name = members.get('snapshot.id') ?? members.get('snapshot.name');
  if (name === undefined || name === '')
    throw new UsageError(`option '-l' cannot be '${text}': it names no snapshot`);
  return name;
}

function sparseBytes(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text, '--sparse');
  if (bytes % 512 === 0 && bytes <= MOST_SPARSE) return bytes;
  throw new UsageError(`option '--sparse' cannot be '${text}': expected a multiple of 512, at most 16 MiB`);
}
