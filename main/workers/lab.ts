/** The entry of a lab's utility process: one machine, built from a command line and driven by main and by the page. */
import type { MessagePortMain } from 'electron';
import type { BlockNode } from '#engine/block/node.ts';
import { PlatterError } from '#engine/errors.ts';
import { createLab } from '#engine/lab/lab.ts';
import type { Lab } from '#engine/lab/types.ts';
import type { CommandLine } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { saveTrace } from '#engine/trace/save.ts';
import type { LabBuild, LabCalls, LabReport } from '../processes/protocol.ts';
import { closeDrives, openDisc, openDrives, type Drives } from './drives.ts';
import { serveFrames } from './frames.ts';
import { saveLines } from './save-trace.ts';
import { Server } from './serve.ts';

const server = new Server<LabCalls, MessagePortMain>(process.parentPort);
let lab: Lab | undefined;
let drives: Drives = new Map();
/** Discs that were put in, by their image's handle. They stay open until the end: requests may still be on their way to them. */
const discs = new Map<string, BlockNode>();

function running(): Lab {
  if (lab === undefined) throw new PlatterError('lab.unknown', 'There is no lab yet.');
  return lab;
}

async function create(build: LabBuild): Promise<Lab> {
  const { config } = build;
  const configs = new Map(config.configs?.map(({ name, text }) => [name, text]));
  const line = parseCommandLine(config.line, configs);
  refuseBroken(line);
  drives = await openDrives(build, line, (handle) => server.gateOf(handle));
  return createLab({
    line,
    drives: (id) => drives.get(id),
    workload: config.workload,
    deviceId: config.deviceId,
    canStop: true,
    onStatus: (change) => server.report(change),
  });
}

/** What cannot be read cannot be built. The editor shows all problems; here the first one is enough. */
function refuseBroken(line: CommandLine): void {
  const problem = line.problems.find(({ severity }) => severity === 'error');
  if (problem === undefined) return;
  const { start, end } = problem.span;
  const value = line.text.slice(start, end).slice(0, 80);
  throw new PlatterError(
    'lab.broken-line',
    `The command line cannot be read from character ${start} on: ${value}. The editor says what is wrong with it.`,
    { offset: start, value, option: problem.rule },
  );
}

function reportOf({ state, device, error }: Lab): LabReport {
  return { state, device, error };
}

server.start({
  create: async ([build], [port]) => {
    const made = await create(build);
    lab = made;
    serveFrames(port, (request) => made.frame(request));
    return reportOf(made);
  },
  run: () => {
    running().run();
    return null;
  },
  pause: () => {
    running().pause();
    return null;
  },
  step: async ([kind]) => {
    await running().step(kind);
    return null;
  },
  speed: ([eventsPerSecond]) => {
    running().speed(eventsPerSecond);
    return null;
  },
  attacks: ([disk]) => running().attacks(disk),
  attack: ([id, disk]) => running().attack(id, disk),
  fault: ([fault, disk]) => {
    running().fault(fault, disk);
    return null;
  },
  moveTray: ([move, force, disk]) => {
    running().moveTray(move, force, disk);
    return null;
  },
  insert: async ([file, passphrases, force, disk]) => {
    const { handle } = file;
    const disc = discs.get(handle) ?? (await openDisc(file, passphrases, server.gateOf(handle)));
    discs.set(handle, disc);
    running().insert(disc, force, disk);
    return null;
  },
  saveTrace: ([path]) => {
    saveLines(path, saveTrace(running().trace));
    return null;
  },
  close: async () => {
    await lab?.close();
    await closeDrives([...drives.values(), ...discs.values()]);
    return null;
  },
});
