/** What the device's thread works with. */
import type { HostIo } from '../../machine/host-io.ts';
import type { RunState } from '../../machine/run-state.ts';
import type { VirtioDevice, VirtQueueState } from '../device.ts';
import type { BlkCommands } from './commands.ts';
import type { BlkCompletion } from './completion.ts';
import { errnoOf, errorAction, type ErrorAction, type IoErrorReport, type OnError } from './policy.ts';
import { BLK_S } from './protocol.ts';
import type { BlkRequest } from './request.ts';
import type { BlkShortcut } from './shortcut.ts';

export interface BlkThreadOptions {
  device: VirtioDevice;
  host: HostIo;
  commands: BlkCommands;
  completion: BlkCompletion;
  shortcut: BlkShortcut;
  irqfd: boolean;
  /** `rerror=` and `werror=`. */
  rerror: OnError;
  werror: OnError;
  /** What a `stop` policy stops; without it such errors are reported to the driver. */
  runState?: RunState;
  onIoError?: (report: IoErrorReport) => void;
  /** Which trace id a chain belongs to. */
  requestIdOf: (queue: VirtQueueState, head: number) => number;
  /** The driver broke a rule. */
  fail: (queue: VirtQueueState, error: unknown) => void;
}

/**
 * Applies `rerror=` and `werror=` to a request that failed: sets its status, tells whoever listens, and answers what was decided. The
 * caller keeps a request that has to wait, and then stops the machine.
 */
export function obeyPolicy(options: BlkThreadOptions, request: BlkRequest): ErrorAction {
  const { rerror, werror, runState, onIoError } = options;
  const { error } = request.host;
  const isRead = request.rw && !request.isWrite;
  const errno = errnoOf(error);
  const wanted = errorAction(isRead ? rerror : werror, isRead, errno);
  const action = wanted === 'stop' && runState === undefined ? 'report' : wanted;
  request.status = action === 'ignore' ? BLK_S.ok : BLK_S.ioerr;
  onIoError?.({ operation: isRead ? 'read' : 'write', action, errno, error });
  return action;
}
