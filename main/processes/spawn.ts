/** Electron's utility processes behind the supervisor's interface. */
import { app, utilityProcess, type MessagePortMain } from 'electron';
// oxlint-disable-next-line import/default -- electron-vite makes the module of the worker's path
import imageModule from '../workers/image.ts?modulePath';
// oxlint-disable-next-line import/default -- as above
import labModule from '../workers/lab.ts?modulePath';
// oxlint-disable-next-line import/default -- as above
import jobModule from '../workers/job.ts?modulePath';
import type { WorkerPort } from './port.ts';
import type { FromWorker, WorkerKind } from './protocol.ts';

const MODULES: Readonly<Record<WorkerKind, string>> = {
  image: imageModule,
  lab: labModule,
  job: jobModule,
};

export function spawnWorker(kind: WorkerKind, name: string): WorkerPort {
  const child = utilityProcess.fork(MODULES[kind], [], {
    serviceName: name,
    stdio: 'inherit',
  });
  return {
    pid: () => child.pid,
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

/** What every process of the application holds of the machine's memory, bytes by process id. */
export function memoryByPid(): ReadonlyMap<number, number> {
  return new Map(app.getAppMetrics().map(({ pid, memory }) => [pid, memory.workingSetSize * 1024]));
}
