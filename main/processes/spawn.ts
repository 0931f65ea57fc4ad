/** Electron's utility processes behind the supervisor's interface. */
import { utilityProcess, type MessagePortMain } from 'electron';
// oxlint-disable-next-line import/default -- electron-vite makes the module of the worker's path
import imageModule from '../workers/image.ts?modulePath';
// oxlint-disable-next-line import/default -- as above
import labModule from '../workers/lab.ts?modulePath';
import type { WorkerPort } from './port.ts';
import type { FromWorker, WorkerKind } from './protocol.ts';

const MODULES: Readonly<Record<WorkerKind, string>> = { image: imageModule, lab: labModule };

/** MiB of JavaScript heap: enough for the tables of a sound image, an end for what a hostile one asks for. */
const HEAP_MIB: Readonly<Record<WorkerKind, number>> = { image: 512, lab: 2048 };

export function spawnWorker(kind: WorkerKind, name: string): WorkerPort {
  const child = utilityProcess.fork(MODULES[kind], [], {
    serviceName: name,
    execArgv: [`--max-old-space-size=${HEAP_MIB[kind]}`],
    stdio: 'inherit',
  });
  return {
    post: (message, ports = []) => child.postMessage(message, ports as MessagePortMain[]),
    onMessage: (listener) => child.on('message', (message: FromWorker) => listener(message)),
    onExit: (listener) => child.once('exit', (code) => listener(`code ${code}`)),
    kill: () => {
      // Electron's `kill` asks politely (SIGTERM), which a stopped process never hears.
      const { pid } = child;
      if (pid === undefined) child.once('spawn', () => killNow(child.pid));
      else killNow(pid);
    },
  };
}

function killNow(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself a moment before.
  }
}
