/** `platter run`: a workload through the devices of a command line, traced. */
import type { LabFrame } from '#contract/lab.ts';
import type { BlockNode } from '#engine/block/node.ts';
import { PlatterError } from '#engine/errors.ts';
import { createLab } from '#engine/lab/lab.ts';
import { chosenDevices, lineDisks, type LineDisk } from '#engine/lab/disks.ts';
import type { DrivableDevice } from '#engine/lab/drivable.ts';
import type { Lab } from '#engine/lab/types.ts';
import type { CommandLine } from '#engine/qemu/model.ts';
import { lint } from '#engine/qemu/lint.ts';
import { MAX_TEXT, parseCommandLine } from '#engine/qemu/parse.ts';
import { saveTrace } from '#engine/trace/save.ts';
import { defineCommand } from '../frame/command.ts';
import { failed } from '../frame/failure.ts';
import type { Io } from '../frame/io.ts';
import { readText } from '../frame/text-file.ts';
import { UsageError } from '../frame/usage-error.ts';
import { DEFAULT_VERSION, parseVersion } from '../lint/version.ts';
import { problemText } from '../lint/problem-text.ts';
import { driveSource, openDrive } from '../run/drive.ts';
import { saveLines } from '../run/save-trace.ts';
import { summarize, summaryJson, summaryText, type DiskFacts, type RunFacts } from '../run/summary.ts';
import { parseWorkload, WORKLOAD_OPTIONS } from '../run/workload.ts';
import { FOLLOW_OPTION } from './shared.ts';

/** Events that the trace holds: what a saved one needs for so many requests, within what can be loaded again. */
const EVENTS_PER_REQUEST = 64;
const LEAST_EVENTS = 1 << 16;
const MOST_EVENTS = 1 << 22;

export const run = defineCommand({
  name: 'run',
  operands: '',
  count: { least: 0, most: 0 },
  help:
    'Builds the machine of a QEMU command line in miniature: a simulated guest with its driver, a virtqueue in its memory, the device, ' +
    'the image behind it. Runs a small workload through it and says what happened on the way, from the doorbell to the interrupt. ' +
    'QEMU itself is not started.\n\n' +
    'What the guest writes stays in memory and is gone at the end, unless --write is given.',
  options: {
    line: { kind: 'text', value: 'FILE', help: 'the command line; - for standard input' },
    image: {
      kind: 'list',
      value: 'ID=IMAGE',
      help: 'the image behind the drive with this id, instead of the file that the line names; IMAGE alone: behind the drive that is run',
    },
    device: {
      kind: 'list',
      value: 'ID',
      help: 'the device to run, by its id or by that of its drive (default: the first that can be); given several times, they run side by side, each with programs of its own; all: every one that can be',
    },
    ...WORKLOAD_OPTIONS,
    write: { kind: 'flag', help: 'write to the image' },
    ...FOLLOW_OPTION,
    trace: { kind: 'text', value: 'FILE', help: 'save every event of the run as JSON lines' },
    json: { kind: 'flag', help: 'print what happened as JSON' },
    qemu: {
      kind: 'text',
      value: 'VERSION',
      help: `the QEMU that the line is for, as major.minor (default ${DEFAULT_VERSION})`,
    },
    force: { kind: 'flag', help: 'run what can be run of a line that QEMU would refuse' },
  },
  examples: [
    {
      line: 'platter run --line vm.sh --rw randwrite --bs 4k --iodepth 8 --number-ios 2000',
      says: 'random writes to the first virtio-blk disk of a start script',
    },
    {
      line: 'platter run --line vm.sh --image d0=disk.qcow2 --trace run.jsonl --json',
      says: 'another image behind the drive d0; figures as JSON, every event in a file',
    },
    {
      line: 'platter run --line vm.sh --device disk0 --device disk1 --rw randread',
      says: 'two disks at once: on one controller they share its queues, or its channel',
    },
  ],
  exitCodes: [
    { code: 0, means: 'the workload finished and no request failed' },
    { code: 1, means: 'the line cannot be run, the image cannot be opened, or requests failed' },
    { code: 130, means: 'it was interrupted (Ctrl-C); what had happened until then is printed' },
  ],
  async run({ values, io }) {
    if (values.line === undefined) throw new UsageError('option --line is needed: --line FILE');
    const workload = parseWorkload(values);
    const version = parseVersion(values.qemu);
    const text = await readText(values.line, MAX_TEXT, io);
    const line = parseCommandLine(text);
    const shown = values.line === '-' ? 'standard input' : values.line;
    if (!values.force && refused(line, version, shown, io)) return 1;
    const { devices, left } = chosen(line, values.device);
    for (const { label, error } of left) io.err(`platter: ${label} is left out: ${error?.message ?? ''}\n`);
    const sources = devices.map(({ drive }) => ({ drive, source: driveSource(line, drive, values.image) }));
    const nodes = new Map<string, BlockNode>();
    try {
      try {
        for (const { drive, source } of sources) nodes.set(drive, await openDrive(source, values));
        const lab = createLab({
          line,
          drives: (id) => nodes.get(id),
          workload:
            devices.length === 1 ? workload : { ...workload, disks: devices.map(({ drive }) => drive) },
          deviceId: values.device[0],
          traceEvents: traceEvents(workload.numberIos * devices.length),
        });
        const interrupted = await runToEnd(lab);
        if (values.trace !== undefined) saveLines(values.trace, saveTrace(lab.trace));
        const { write, trace } = values;
        const facts: RunFacts = {
          disks: sources.map(({ drive, source }) => diskFacts(drive, source.path, nodes.get(drive))),
          write,
          workload,
          trace,
        };
        const summary = summarize(lab, facts);
        io.out(values.json ? summaryJson(summary) : summaryText(summary));
        if (interrupted) return 130;
        return verdict(summary.frame, io);
      } finally {
        for (const node of nodes.values()) await node.close();
      }
    } catch (error) {
      const aboutImage = error instanceof PlatterError && error.context.image !== undefined;
      return failed(io, error, aboutImage && sources.length === 1 ? sources[0].source.path : undefined);
    }
  },
});

/** The devices that `--device` names, and with `all` those that cannot be run. */
function chosen(
  line: CommandLine,
  names: readonly string[],
): { devices: DrivableDevice[]; left: LineDisk[] } {
  if (!names.includes('all')) {
    return { devices: chosenDevices(line, names.length > 1 ? names : undefined, names[0]), left: [] };
  }
  const disks = lineDisks(line);
  const left = disks.filter(({ error }) => error !== undefined);
  const drives = disks.flatMap(({ drive, error }) =>
    drive === undefined || error !== undefined ? [] : [drive],
  );
  return { devices: chosenDevices(line, drives), left };
}

function diskFacts(drive: string, image: string, node: BlockNode | undefined): DiskFacts {
  return {
    drive,
    image,
    driver: (node?.child ?? node)?.driver ?? '',
    virtualSize: node?.virtualSize ?? 0,
  };
}

/** The exit code of a run that went to its end; what failed is said on standard error. */
function verdict({ status, error, counters }: LabFrame, io: Io): number {
  if (status === 'finished' && counters.errors === 0) return 0;
  io.err(`platter: ${error?.message ?? `${counters.errors} of ${counters.requests} requests failed`}\n`);
  return 1;
}

/** Says what QEMU would refuse, if anything. */
function refused(line: CommandLine, version: string, file: string, io: Io): boolean {
  const problems = lint(line, { version }).filter(({ severity }) => severity === 'error');
  for (const problem of problems) io.err(problemText(problem, line.text, file, true));
  if (problems.length > 0) {
    io.err(
      `platter: QEMU ${version} would refuse this line. 'platter lint' explains it, 'platter lint --fix' mends it; --force runs what can be run.\n`,
    );
  }
  return problems.length > 0;
}

function traceEvents(requests: number): number {
  return requests === 0
    ? MOST_EVENTS
    : Math.min(MOST_EVENTS, Math.max(LEAST_EVENTS, requests * EVENTS_PER_REQUEST));
}

/** Answers whether Ctrl-C ended it. */
async function runToEnd(lab: Lab): Promise<boolean> {
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    lab.pause();
    void lab.close();
  };
  process.once('SIGINT', interrupt);
  try {
    lab.run();
    await lab.done();
  } finally {
    process.off('SIGINT', interrupt);
  }
  await lab.close();
  return interrupted;
}
