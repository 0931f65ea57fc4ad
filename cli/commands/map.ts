/** `platter map`: where the bytes of the guest's disk lie. */
import type { ImageInfo, MapExtent } from '#contract/images.ts';
import { allowAll } from '#engine/block/gate.ts';
import { openImage, type OpenedImage } from '#engine/block/graph.ts';
import { mapPage, mergeable } from '#engine/block/map.ts';
import { PlatterError } from '#engine/errors.ts';
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import type { Io } from '../frame/io.ts';
import { parseSize } from '../frame/numbers.ts';
import { emptyLine, jsonLine, TEXT_HEAD, textLine } from '../qemu-img/map-lines.ts';
import { combinePath } from '../qemu-img/path.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

/** Extents asked for at a time: what is printed already is not kept. */
const PAGE = 4096;

export const map = defineCommand({
  name: 'map',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help:
    "Lists the stretches of the guest's disk: which are stored, where and in which file of the chain, which read as zeroes, which " +
    'were never written. Text and JSON are those of qemu-img map.\n\n' +
    'With --follow the backing files that the image names are looked into too. Without it, what would lie there is shown as not ' +
    'present.',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    ...OUTPUT_OPTIONS,
    ...FOLLOW_OPTION,
    'start-offset': {
      kind: 'text',
      short: 's',
      value: 'BYTES',
      help: 'where on the disk to begin (default 0)',
    },
    'max-length': {
      kind: 'text',
      short: 'l',
      value: 'BYTES',
      help: 'how much to list (default: up to the end)',
    },
    ...SHARE_OPTION,
  },
  examples: [
    {
      line: 'platter map disk.qcow2',
      says: 'the stored stretches: offset, length, place in the file, all in hexadecimal',
    },
    {
      line: 'platter map --json --follow overlay.qcow2',
      says: 'every stretch, with the depth in the chain that it comes from',
    },
    { line: 'platter map --start-offset 1M --max-length 64k disk.qcow2', says: 'a part of the disk' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'the image could not be opened or read, or a stretch cannot be shown as text' },
  ],
  async run({ values, operands: [path], io }) {
    const start = parseSize(values['start-offset'] ?? '0', '--start-offset');
    const length =
      values['max-length'] === undefined ? undefined : parseSize(values['max-length'], '--max-length');
    try {
      const image = namedImage(path, values);
      const opened = await openImage(image.source, {
        ...image.open,
        share: values['force-share'],
        gate: values.follow ? allowAll : undefined,
        backing: values.follow ? 'require' : 'skip',
      });
      try {
        const range = { start, end: length === undefined ? undefined : start + length };
        const print = wantsJson(values) ? printJson : printText;
        await print(extents(opened, range), { path: image.file, info: opened.info, start, io });
      } finally {
        await opened.node.close();
      }
      if (!values.follow && opened.info.backingFilename !== undefined) {
        io.err(`platter: ${path}: the backing file was not opened; --follow looks into it too\n`);
      }
      return 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

interface Output {
  path: string;
  info: ImageInfo;
  /** First byte that was asked for. */
  start: number;
  io: Io;
}

/** The extents; one that two pages share comes in one piece. */
async function* extents(
  opened: OpenedImage,
  range: { start: number; end?: number },
): AsyncGenerator<MapExtent> {
  let last: MapExtent | undefined;
  for await (const extent of pages(opened, range)) {
    if (last !== undefined && mergeable(last, extent)) {
      last = { ...last, length: last.length + extent.length };
      continue;
    }
    if (last !== undefined) yield last;
    last = extent;
  }
  if (last !== undefined) yield last;
}

/** QEMU counts a raw disk in sectors: what is missing of the last one reads as zeroes. */
async function* pages(
  opened: OpenedImage,
  range: { start: number; end?: number },
): AsyncGenerator<MapExtent> {
  const { node } = opened;
  const disk = node.virtualSize;
  const end = Math.min(range.end ?? disk, disk);
  let next: number | null = Math.min(range.start, disk);
  while (next !== null && next < end) {
    const page = await mapPage(node, { start: next, end, limit: PAGE });
    yield* page.extents;
    next = page.next;
  }
  const missing = Math.min((range.end ?? Infinity) - disk, Math.ceil(disk / 512) * 512 - disk);
  if (missing > 0 && range.start <= disk) {
    yield {
      start: disk,
      length: missing,
      depth: 0,
      present: true,
      zero: true,
      data: false,
      compressed: false,
      offset: disk,
    };
  }
}

async function printJson(found: AsyncIterable<MapExtent>, { start, io }: Output): Promise<void> {
  let before = '[';
  for await (const extent of found) {
    io.out(before + jsonLine(extent));
    before = ',\n';
  }
  io.out(before === '[' ? `[${emptyLine(start)}]\n` : ']\n');
}

async function printText(found: AsyncIterable<MapExtent>, { path, info, io }: Output): Promise<void> {
  const names = chainNames(info, path);
  io.out(`${TEXT_HEAD}\n`);
  for await (const extent of found) {
    if (!extent.data || extent.zero) continue;
    const { path, dataFile } = names[extent.depth];
    if (extent.offset === undefined) throw notPlain(extent, path);
    const beside = extent.file === undefined ? path : (dataFile ?? combinePath(path, extent.file));
    io.out(`${textLine(extent, beside)}\n`);
  }
}

interface LayerNames {
  /** As QEMU combines it from what was named. */
  path: string;
  /** The external data file as it stands in the image, which is how QEMU shows it. */
  dataFile?: string;
}

/** The file of each depth. */
function chainNames(info: ImageInfo, path: string): LayerNames[] {
  const { backing, backingFilename, formatSpecific } = info;
  const dataFile = formatSpecific['data-file'];
  const names = { path, dataFile: typeof dataFile === 'string' ? dataFile : undefined };
  if (backing === undefined || backingFilename === undefined) return [names];
  return [names, ...chainNames(backing, combinePath(path, backingFilename))];
}

function notPlain(extent: MapExtent, file: string): PlatterError {
  const how = extent.compressed ? 'compressed' : 'encrypted or in another file';
  return new PlatterError(
    'cli.not-plain',
    `${file}: what is at ${extent.start} of the disk is ${how}, so it has no place to show`,
    {
      image: file,
      offset: extent.start,
      hint: '--json lists it all the same.',
    },
  );
}
