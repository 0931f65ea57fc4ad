/** A utility process as the supervisor sees it: Electron's in the application, a fake one in tests. */
import type { FromWorker, ToWorker, WorkerKind } from './protocol.ts';

export interface WorkerPort {
  /** The process id, once it has started. */
  pid(): number | undefined;
  /** @param ports MessagePorts that go along */
  post(message: ToWorker, ports?: unknown[]): void;
  onMessage(listener: (message: FromWorker) => void): void;
  /** `reason`: what the operating system said about the end, e.g. `code 137`. */
  onExit(listener: (reason: string) => void): void;
  /** Ends the process at once, whatever it does. */
  kill(): void;
}

/** Starts a process. `name` is what the system's process list shows. */
export type Spawn = (kind: WorkerKind, name: string) => WorkerPort;
