/** `platter partitions`: the partition table of the guest's disk. */
import type { Partition, PartitionTable } from '#contract/partitions.ts';
import { allowAll } from '#engine/block/gate.ts';
import { openImage } from '#engine/block/graph.ts';
import { readPartitions } from '#engine/inspect/partitions/partitions.ts';
import texts from '#resources/messages/en/partitions.json' with { type: 'json' };
import { IMAGE_OPTS_OPTION, namedImage } from '../image-opts/named-image.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import { sizeText } from '../qemu-img/size.ts';
import { FOLLOW_OPTION, FORMAT_OPTION, OUTPUT_OPTIONS, SHARE_OPTION, wantsJson } from './shared.ts';

const names: Readonly<Record<string, string>> = texts;

export const partitions = defineCommand({
  name: 'partitions',
  operands: 'IMAGE',
  count: { least: 1, most: 1 },
  help:
    "Lists the partitions of the guest's disk, of a GPT or an MBR with its logical ones, whatever the format of the image. Start and " +
    'size are in sectors, and as a size. The JSON has the members of sfdisk --json, and what is wrong with the table under problems.\n\n' +
    'To open one by itself, give its place to --image-opts: driver=raw,offset=BYTES,size=BYTES,file.driver=qcow2,… (any command).',
  options: {
    ...FORMAT_OPTION,
    ...IMAGE_OPTS_OPTION,
    ...OUTPUT_OPTIONS,
    ...FOLLOW_OPTION,
    ...SHARE_OPTION,
  },
  examples: [
    { line: 'platter partitions disk.qcow2', says: 'the partitions of the disk within' },
    { line: 'platter partitions --json --follow overlay.qcow2', says: 'for a script' },
  ],
  exitCodes: [
    { code: 0, means: 'done' },
    { code: 1, means: 'the image could not be read, or its disk has no partition table' },
    { code: 3, means: 'the table has problems; they are listed' },
  ],
  async run({ values, operands: [path], io }) {
    try {
      const image = namedImage(path, values);
      const { node } = await openImage(image.source, {
        ...image.open,
        share: values['force-share'],
        gate: values.follow ? allowAll : undefined,
      });
      let table: PartitionTable | undefined;
      try {
        table = await readPartitions(node);
      } finally {
        await node.close();
      }
      if (table === undefined) {
        io.err(`platter: ${path}: the disk has no partition table\n`);
        return 1;
      }
      io.out(wantsJson(values) ? jsonText(table, path) : tableText(table));
      for (const { message } of table.problems) io.err(`platter: ${path}: ${message}\n`);
      return table.problems.length > 0 ? 3 : 0;
    } catch (error) {
      return failed(io, error, path);
    }
  },
});

/** As `sfdisk --json` spells them. */
function jsonText(table: PartitionTable, path: string): string {
  const { label, id, sectorSize, problems } = table;
  const rows = table.partitions.map((part) => ({
    node: `${path}${part.number}`,
    start: part.start / sectorSize,
    size: part.length / sectorSize,
    type: part.type,
    ...(part.uuid === undefined ? {} : { uuid: part.uuid }),
    ...(part.name ? { name: part.name } : {}),
    ...(part.bootable ? (label === 'gpt' ? { attrs: 'LegacyBIOSBootable' } : { bootable: true }) : {}),
  }));
  const partitiontable = {
    label,
    id,
    device: path,
    unit: 'sectors',
    sectorsize: sectorSize,
    partitions: rows,
    problems: problems.map(({ code, message }) => ({ code, message })),
  };
  return `${JSON.stringify({ partitiontable }, undefined, 4)}\n`;
}

function tableText(table: PartitionTable): string {
  const { label, sectorSize } = table;
  const sectors = (bytes: number): string => String(bytes / sectorSize);
  const type = (part: Partition): string => names[`${label}.${part.type.toLowerCase()}`] ?? part.type;
  const rows = table.partitions.map((part) => [
    String(part.number),
    part.bootable ? '*' : '',
    sectors(part.start),
    sectors(part.length),
    sizeText(part.length),
    part.name ? `${type(part)}: ${printable(part.name)}` : type(part),
  ]);
  const lines = [['No.', 'Boot', 'Start', 'Sectors', 'Size', 'Type and name'], ...rows];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column >= 2 && column <= 4 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
  return `${label}, ${table.id}, sectors of ${sectorSize} bytes\n${text.join('\n')}\n`;
}

/** A name comes from the disk: nothing in it may steer the terminal. */
function printable(name: string): string {
  return name.replace(/\p{Cc}/gu, '\uFFFD');
}
