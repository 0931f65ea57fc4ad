/** `platter convert-line`: a QEMU command line in another spelling. */
import { toBlockdev } from '#engine/qemu/convert/blockdev.ts';
import { fromConfig, toConfig } from '#engine/qemu/convert/config.ts';
import { toDrive } from '#engine/qemu/convert/drive.ts';
import { fromQmp, toJson, toQmp } from '#engine/qemu/convert/json.ts';
import { toLongOptions } from '#engine/qemu/convert/long.ts';
import type { Conversion } from '#engine/qemu/convert/notes.ts';
import { toScript } from '#engine/qemu/convert/script.ts';
import { fromLibvirt } from '#engine/qemu/libvirt/read.ts';
import { toLibvirt } from '#engine/qemu/libvirt/write.ts';
import type { CommandLine } from '#engine/qemu/model.ts';
import { MAX_TEXT, parseCommandLine } from '#engine/qemu/parse.ts';
import texts from '#resources/messages/en/convert.json' with { type: 'json' };
import { defineCommand } from '../frame/command.ts';
import { failureText } from '../frame/failure.ts';
import { fillText } from '../frame/messages.ts';
import { readText } from '../frame/text-file.ts';
import { DEFAULT_VERSION } from '../lint/version.ts';

const catalogue: Readonly<Record<string, string>> = texts;
const context = { version: DEFAULT_VERSION };

const TARGETS: Readonly<Record<string, (line: CommandLine) => Conversion>> = {
  blockdev: toBlockdev,
  drive: toDrive,
  long: toLongOptions,
  json: (line) => toJson(line, context),
  qmp: (line) => toQmp(line, context),
  config: (line) => toConfig(line),
  script: toScript,
  libvirt: (line) => toLibvirt(parseCommandLine(toBlockdev(line).text)),
};
const SOURCES: Readonly<Record<string, (text: string) => Conversion>> = {
  line: (text) => ({ text, notes: [] }),
  qmp: fromQmp,
  config: fromConfig,
  libvirt: fromLibvirt,
};

export const convertLine = defineCommand({
  name: 'convert-line',
  operands: 'FILE',
  count: { least: 1, most: 1 },
  help:
    'Writes a command line in another spelling (- reads standard input). What cannot be carried over is said on standard ' +
    'error. Nothing is executed and no image is opened.',
  options: {
    from: {
      kind: 'text',
      value: 'FORM',
      choices: Object.keys(SOURCES),
      help: 'what the file is (default line)',
    },
    to: {
      kind: 'text',
      value: 'FORM',
      choices: Object.keys(TARGETS),
      help: 'what to write; left out: the plain line',
    },
  },
  examples: [
    { line: 'platter convert-line --to blockdev vm.sh', says: 'every -drive as -blockdev and -device' },
    {
      line: 'platter convert-line --from libvirt vm.xml',
      says: "the disks of libvirt's XML as a command line",
    },
  ],
  exitCodes: [
    { code: 1, means: 'something could not be carried over' },
    { code: 2, means: 'the file could not be read' },
  ],
  async run({ values, operands: [file], io }) {
    let source: string;
    try {
      source = await readText(file, MAX_TEXT, io);
    } catch (error) {
      io.err(failureText(error, file));
      return 2;
    }
    const read = SOURCES[values.from ?? 'line'](source);
    const written = values.to === undefined ? read : TARGETS[values.to](parseCommandLine(read.text));
    io.out(written.text.endsWith('\n') ? written.text : `${written.text}\n`);
    const notes = written === read ? read.notes : [...read.notes, ...written.notes];
    for (const note of notes) io.err(`${fillText(catalogue[note.key] ?? note.key, note.params)}\n`);
    return notes.length === 0 ? 0 : 1;
  },
});
