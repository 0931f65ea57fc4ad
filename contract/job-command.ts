/** A job as the `qemu-img` command that does the same. Pure: the page shows it, main puts it on the clipboard with whole paths. */
import type { FormatOptions, JobOf, JobRequest } from './jobs.ts';

/** How a command names files. */
export interface CommandNames {
  /** A file by its handle. */
  file(handle: string): string;
  /** As an image at `from` names another file: relative to its own folder. */
  reference(handle: string, from: string): string;
  /** The format of an attached image, when it is known. */
  format(handle: string): string | undefined;
}

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
    case 'snapshot': {
      const flag = { create: '-c', apply: '-a', delete: '-d' }[request.action];
      return [['qemu-img', 'snapshot', flag, request.name, names.file(request.image)]];
    }
    case 'bitmap':
      return [on('bitmap', request.image, names, bitmapWords(request, names), [request.name])];
    case 'compare': {
      const other = names.format(request.other);
      const words = [...(other === undefined ? [] : ['-F', other]), ...(request.strict ? ['-s'] : [])];
      return [on('compare', request.image, names, words, [names.file(request.other)])];
    }
    case 'commit':
      return [on('commit', request.image, names, request.empty ? [] : ['-d'])];
    case 'rebase':
      return [on('rebase', request.image, names, rebaseWords(request, names))];
    case 'amend':
      return [on('amend', request.image, names, optionWords(request.options))];
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
): string[] {
  const format = names.format(image);
  const known = format === undefined ? [] : ['-f', format];
  return ['qemu-img', verb, ...known, ...words, names.file(image), ...after];
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
function secretWords(request: { format: string; passphrase?: string }): {
  object: string[];
  options: FormatOptions;
} {
  if (request.format !== 'luks') return { object: [], options: {} };
  return {
    object: ['--object', 'secret,id=passphrase,file=passphrase.txt'],
    options: { 'key-secret': 'passphrase' },
  };
}

function convertCommand(request: JobOf<'convert'>, names: CommandNames): string[] {
  const format = names.format(request.image);
  const secret = secretWords(request);
  return [
    'qemu-img',
    'convert',
    ...secret.object,
    ...(format === undefined ? [] : ['-f', format]),
    '-O',
    request.format,
    ...(request.compressed ? ['-c'] : []),
    ...(request.sparse === undefined ? [] : ['-S', sizeWord(request.sparse)]),
    ...(request.snapshot === undefined ? [] : ['-l', `snapshot.name=${request.snapshot}`]),
    ...optionWords({ ...secret.options, ...request.options }),
    names.file(request.image),
    names.file(request.target),
  ];
}

function createCommand(request: JobOf<'create'>, names: CommandNames): string[] {
  const secret = secretWords(request);
  const backing = request.backing;
  const format = request.backingFormat;
  return [
    'qemu-img',
    'create',
    ...secret.object,
    '-f',
    request.format,
    ...(backing === undefined ? [] : ['-b', names.reference(backing, request.target)]),
    ...(format === undefined ? [] : ['-F', format]),
    ...optionWords({ ...secret.options, ...request.options }),
    names.file(request.target),
    sizeWord(request.size),
  ];
}

function bitmapWords(request: JobOf<'bitmap'>, names: CommandNames): string[] {
  if (request.action !== 'merge') {
    const granularity = request.granularity === undefined ? [] : ['-g', String(request.granularity)];
    return [`--${request.action}`, ...(request.action === 'add' ? granularity : [])];
  }
  const { source } = request;
  const format = source === undefined ? undefined : names.format(source);
  return [
    '--merge',
    request.from ?? '',
    ...(source === undefined ? [] : ['-b', names.file(source)]),
    ...(format === undefined ? [] : ['-F', format]),
  ];
}

function rebaseWords(request: JobOf<'rebase'>, names: CommandNames): string[] {
  const unsafe = request.unsafe ? ['-u'] : [];
  if (request.backing === null) return [...unsafe, '-b', ''];
  const format = request.backingFormat;
  return [
    ...unsafe,
    '-b',
    names.reference(request.backing, request.image),
    ...(format === undefined ? [] : ['-F', format]),
  ];
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
  const format = names.format(request.image);
  return [
    'qemu-img',
    'dd',
    ...(format === undefined ? [] : ['-f', format]),
    '-O',
    request.format,
    `bs=${sizeWord(request.bs)}`,
    ...(request.count === undefined ? [] : [`count=${request.count}`]),
    ...(request.skip > 0 ? [`skip=${request.skip}`] : []),
    `if=${names.file(request.image)}`,
    `of=${names.file(request.target)}`,
  ];
}
