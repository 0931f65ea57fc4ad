/** A job as the `qemu-img` command that does the same. Pure: the page shows it, main puts it on the clipboard with whole paths. */
import { CommandImages, type CommandNames } from './command-images.ts';
import type { FormatOptions, JobOf, JobRequest } from './jobs.ts';

export type { CommandNames };

/** The words of each command; more than one where qemu-img alone does not do it. */
export function jobCommand(request: JobRequest, names: CommandNames): string[][] {
  switch (request.kind) {
    case 'convert':
      return [convertCommand(request, names)];
    case 'create':
      return [createCommand(request, names)];
    case 'resize': {
      const shrink = request.shrink ? ['--shrink'] : [];
      return [on('resize', request.image, names, shrink, [sizeWord(request.size)])];
    }
    case 'check': {
      const repair = request.repair === 'none' ? [] : ['-r', request.repair];
      return [on('check', request.image, names, repair)];
    }
    case 'snapshot':
      return [snapshotCommand(request, names)];
    case 'bitmap':
      return [bitmapCommand(request, names)];
    case 'compare':
      return [compareCommand(request, names)];
    case 'commit':
      return [on('commit', request.image, names, request.empty ? [] : ['-d'])];
    case 'rebase':
      return rebaseCommands(request, names);
    case 'amend':
      return [amendCommand(request, names)];
    case 'measure':
      return [
        on('measure', request.image, names, ['-O', request.format, ...optionWords(request.options ?? {})]),
      ];
    case 'checksum':
      return checksumCommands(request, names);
    default:
      return [copyCommand(request, names)];
  }
}

/** The commands as a shell takes them, one a line. */
export function commandText(commands: readonly string[][]): string {
  return commands.map((words) => words.map(shellWord).join(' ')).join('\n');
}

/** Bytes in the largest unit that loses nothing: `64M`, `1000`. */
export function sizeWord(bytes: number): string {
  for (const [power, unit] of [
    [4, 'T'],
    [3, 'G'],
    [2, 'M'],
    [1, 'K'],
  ] as const) {
    if (bytes > 0 && bytes % 1024 ** power === 0) return `${bytes / 1024 ** power}${unit}`;
  }
  return String(bytes);
}

/** Quoted where a POSIX shell would take a character for something else. */
function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./…-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function on(
  verb: string,
  image: string,
  names: CommandNames,
  words: readonly string[],
  after: readonly string[] = [],
  alone = false,
): string[] {
  const images = new CommandImages(names, [image], alone);
  const file = images.image(image);
  return ['qemu-img', verb, ...images.objects(), ...images.format(image), ...words, file, ...after];
}

function optionWords(options: FormatOptions): string[] {
  const list = Object.entries(options).map(([key, value]) => `${key}=${optionValue(value)}`);
  return list.length === 0 ? [] : ['-o', list.join(',')];
}

function optionValue(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  // In a list of options a comma is written twice.
  return typeof value === 'number' ? String(value) : value.replaceAll(',', ',,');
}

/** What an encrypted target needs: the passphrase stands in a file, not on the command line. */
function targetOptions(
  { format, options }: { format: string; options?: FormatOptions },
  images: CommandImages,
): FormatOptions {
  const key = encryptionKey(format, options ?? {});
  return { ...options, ...(key === undefined ? {} : { [key]: images.secret('new-passphrase.txt') }) };
}

/** The option that takes the passphrase of a new image; undefined when it is not to be encrypted. */
export function encryptionKey(format: string, options: FormatOptions): string | undefined {
  if (format === 'luks') return 'key-secret';
  return options['encrypt.format'] === undefined ? undefined : 'encrypt.key-secret';
}

function convertCommand(request: JobOf<'convert'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image]);
  const options = targetOptions(request, images);
  return [
    'qemu-img',
    'convert',
    ...images.objects(),
    ...images.format(request.image),
    '-O',
    request.format,
    ...(request.compressed ? ['-c'] : []),
    ...(request.sparse === undefined ? [] : ['-S', sizeWord(request.sparse)]),
    ...(request.snapshot === undefined ? [] : ['-l', `snapshot.name=${request.snapshot}`]),
    ...optionWords(options),
    images.image(request.image),
    names.file(request.target),
  ];
}

function createCommand(request: JobOf<'create'>, names: CommandNames): string[] {
  const images = new CommandImages(names, []);
  const options = targetOptions(request, images);
  const backing = request.backing;
  const format = request.backingFormat;
  return [
    'qemu-img',
    'create',
    ...images.objects(),
    '-f',
    request.format,
    ...(backing === undefined ? [] : ['-b', names.reference(backing, request.target)]),
    ...(format === undefined ? [] : ['-F', format]),
    ...optionWords(options),
    names.file(request.target),
    sizeWord(request.size),
  ];
}

function compareCommand(request: JobOf<'compare'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image, request.other]);
  return [
    'qemu-img',
    'compare',
    ...images.objects(),
    ...images.format(request.image),
    ...images.format(request.other, '-F'),
    ...(request.strict ? ['-s'] : []),
    images.image(request.image),
    images.image(request.other),
  ];
}

function snapshotCommand(request: JobOf<'snapshot'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image]);
  const flag = { create: '-c', apply: '-a', delete: '-d' }[request.action];
  const objects = images.objects();
  // It has no -f.
  const how = objects.length === 0 ? [] : [...objects, '--image-opts'];
  return ['qemu-img', 'snapshot', ...how, flag, request.name, images.image(request.image)];
}

function amendCommand(request: JobOf<'amend'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image]);
  const { keys } = request;
  const options: FormatOptions = { ...request.options };
  if (keys !== undefined) {
    const prefix = names.format(request.image) === 'luks' ? '' : 'encrypt.';
    options[`${prefix}state`] = keys.state;
    if (keys.slot !== undefined) options[`${prefix}keyslot`] = keys.slot;
    if (keys.state === 'active') options[`${prefix}new-secret`] = images.secret('new-passphrase.txt');
    else if (keys.slot === undefined) options[`${prefix}old-secret`] = images.secret('erased-passphrase.txt');
  }
  return [
    'qemu-img',
    'amend',
    ...images.objects(),
    ...images.format(request.image),
    ...optionWords(options),
    ...(keys?.force === true ? ['--force'] : []),
    images.image(request.image),
  ];
}

function bitmapCommand(request: JobOf<'bitmap'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image], true);
  const words = bitmapWords(request, images, names);
  return [
    'qemu-img',
    'bitmap',
    ...images.objects(),
    ...images.format(request.image),
    ...words,
    images.image(request.image),
    request.name,
  ];
}

function bitmapWords(request: JobOf<'bitmap'>, images: CommandImages, names: CommandNames): string[] {
  if (request.action !== 'merge') {
    const granularity = request.granularity === undefined ? [] : ['-g', String(request.granularity)];
    return [`--${request.action}`, ...(request.action === 'add' ? granularity : [])];
  }
  const { source } = request;
  const merge = ['--merge', request.from ?? ''];
  // --image-opts is for the image that is changed, and does not reach the other one.
  return source === undefined
    ? merge
    : [...merge, '-b', images.byName(source), ...formatWords(names.format(source))];
}

function formatWords(format: string | undefined): string[] {
  return format === undefined ? [] : ['-F', format];
}

/**
 * Where an image is encrypted, the new backing file cannot be opened by the name that is to stand in the image: it may need a secret,
 * and a relative name means nothing to an image that is named by options. It is then opened by another name, which is set right by a
 * second command.
 */
function rebaseCommands(request: JobOf<'rebase'>, names: CommandNames): string[][] {
  const { image, backing, unsafe } = request;
  if (backing === null)
    return [on('rebase', image, names, [...(unsafe ? ['-u'] : []), '-b', ''], [], unsafe)];
  const format = formatWords(request.backingFormat);
  const rename = (name: string): string[] =>
    on('rebase', image, names, ['-u', '-b', name, ...format], [], true);
  const name = names.reference(backing, image);
  if (unsafe) return [rename(name)];
  const images = new CommandImages(names, [image]);
  const opened = images.byName(backing);
  const wrong = images.byOptions || opened !== names.file(backing);
  const words = ['-b', wrong ? opened : name, ...format];
  const copy = ['rebase', ...images.objects(), ...images.format(image), ...words, images.image(image)];
  return [['qemu-img', ...copy], ...(wrong ? [rename(name)] : [])];
}

/** qemu-img has no checksum: a raw copy is summed. */
function checksumCommands(request: JobOf<'checksum'>, names: CommandNames): string[][] {
  const raw = `${names.file(request.image)}.raw`;
  const program = request.algorithm === 'sha256' ? 'sha256sum' : 'b3sum';
  return [
    [...on('convert', request.image, names, ['-O', 'raw']), raw],
    [program, raw],
  ];
}

function copyCommand(request: JobOf<'copy'>, names: CommandNames): string[] {
  const images = new CommandImages(names, [request.image]);
  return [
    'qemu-img',
    'dd',
    ...images.objects(),
    ...images.format(request.image),
    '-O',
    request.format,
    `bs=${sizeWord(request.bs)}`,
    ...(request.count === undefined ? [] : [`count=${request.count}`]),
    ...(request.skip > 0 ? [`skip=${request.skip}`] : []),
    `if=${images.image(request.image)}`,
    `of=${names.file(request.target)}`,
  ];
}
