/** `platter run`: a workload through the devices of a command line, traced. */
import type { LabFrame } from '#contract/lab.ts';
import { PlatterError } from '#engine/errors.ts';
import { createLab } from '#engine/lab/lab.ts';
import { drivableDevice } from '#engine/lab/drivable.ts';
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
import { summarize, summaryJson, summaryText, type RunFacts } from '../run/summary.ts';
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
      kind: 'text',
      value: 'ID',
      help: 'the id of the device to run (default: the first that can be)',
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
    const { drive } = drivableDevice(line, values.device);
    const source = driveSource(line, drive, values.image);
    try {
      const node = await openDrive(source, values);
      try {
        const lab = createLab({
          line,
          drives: (id) => (id === drive ? node : undefined),
          workload,
          deviceId: values.device,
          traceEvents: traceEvents(workload.numberIos),
        });
        const interrupted = await runToEnd(lab);
        if (values.trace !== undefined) saveLines(values.trace, saveTrace(lab.trace));
        const { write, trace } = values;
        const driver = (node.child ?? node).driver;
        const facts: RunFacts = {
          drive,
          image: source.path,
          driver,
          virtualSize: node.virtualSize,
          write,
          workload,
          trace,
        };
        const summary = summarize(lab, facts);
        io.out(values.json ? summaryJson(summary) : summaryText(summary));
        if (interrupted) return 130;
        return verdict(summary.frame, io);
      } finally {
        await node.close();
      }
    } catch (error) {
      const aboutImage = error instanceof PlatterError && error.context.image !== undefined;
      return failed(io, error, aboutImage ? source.path : undefined);
    }
  },
});

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
