/** The subcommands: a line about each for the overview; the rest of one is loaded when it is called. */
import type { Command } from '../frame/command.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Pick<Command, keyof Command>>;
}

export const commands: readonly CommandEntry[] = [
  {
    name: 'info',
    summary: 'what an image is: format, sizes, backing file, snapshots',
    load: async () => (await import('./info.ts')).info,
  },
  {
    name: 'map',
    summary: 'where the bytes of the disk lie: data, zeroes, backing file',
    load: async () => (await import('./map.ts')).map,
  },
  {
    name: 'partitions',
    summary: 'the partitions of the disk: GPT, or MBR with its logical ones',
    load: async () => (await import('./partitions.ts')).partitions,
  },
  {
    name: 'create',
    summary: 'make an empty image, alone or over a backing file',
    load: async () => (await import('./create.ts')).create,
  },
  {
    name: 'convert',
    summary: 'copy an image into another format',
    load: async () => (await import('./convert.ts')).convert,
  },
  {
    name: 'dd',
    summary: 'copy blocks of a disk into a new image',
    load: async () => (await import('./dd.ts')).dd,
  },
  {
    name: 'amend',
    summary: 'change what an image was made with: version, features, passphrases',
    load: async () => (await import('./amend.ts')).amend,
  },
  {
    name: 'measure',
    summary: 'how much room a new image takes, before it is made',
    load: async () => (await import('./measure.ts')).measure,
  },
  {
    name: 'compare',
    summary: 'whether two images hold the same disk',
    load: async () => (await import('./compare.ts')).compare,
  },
  {
    name: 'checksum',
    summary: 'SHA-256 or BLAKE3 of the disk, whatever its format',
    load: async () => (await import('./checksum.ts')).checksum,
  },
  {
    name: 'check',
    summary: 'whether an image is sound, and its repair',
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'snapshot',
    summary: 'list, create, apply or delete internal snapshots',
    load: async () => (await import('./snapshot.ts')).snapshot,
  },
  {
    name: 'commit',
    summary: 'write what an overlay holds into its backing file',
    load: async () => (await import('./commit.ts')).commit,
  },
  {
    name: 'rebase',
    summary: 'give an overlay another backing file',
    load: async () => (await import('./rebase.ts')).rebase,
  },
  {
    name: 'resize',
    summary: 'give the disk another size',
    load: async () => (await import('./resize.ts')).resize,
  },
  {
    name: 'bitmap',
    summary: 'add, clear, merge or remove dirty bitmaps',
    load: async () => (await import('./bitmap.ts')).bitmap,
  },
  {
    name: 'lint',
    summary: 'what is wrong with a QEMU command line, and how to mend it',
    load: async () => (await import('./lint.ts')).lint,
  },
  {
    name: 'explain-error',
    summary: 'what an error of QEMU, qemu-img or libvirt means, and where the line has it',
    load: async () => (await import('./explain-error.ts')).explainErrorCommand,
  },
  {
    name: 'convert-line',
    summary: 'a QEMU command line in another spelling: -blockdev, JSON, QMP, libvirt …',
    load: async () => (await import('./convert-line.ts')).convertLine,
  },
  {
    name: 'recipes',
    summary: 'command lines that do one thing well, and why',
    load: async () => (await import('./recipes.ts')).recipes,
  },
  {
    name: 'run',
    summary: 'run a workload through the devices of a command line and trace it',
    load: async () => (await import('./run.ts')).run,
  },
];
