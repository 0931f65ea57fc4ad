/** What the device's thread works with. */
import type { OnErrors } from '../../block/on-error.ts';
import type { HostIo } from '../../machine/host-io.ts';
import type { IoErrors } from '../../machine/io-errors.ts';
import type { ErrorAction } from '../../trace/format.ts';
import type { VirtioDevice, VirtQueueState } from '../device.ts';
import type { BlkCommands } from './commands.ts';
import type { BlkCompletion } from './completion.ts';
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
  /** `rerror=` and `werror=`, and what obeys them. */
  policies: OnErrors;
  errors: IoErrors;
  /** Which trace id a chain belongs to. */
  requestIdOf: (queue: VirtQueueState, head: number) => number;
  /** The driver broke a rule. */
  fail: (queue: VirtQueueState, error: unknown) => void;
}

/**
 * Applies `rerror=` and `werror=` to a request that failed: sets its status, tells whoever listens, and answers what was decided. The
 * caller keeps a request that has to wait, and then stops the machine.
 */
export function obeyPolicy({ errors, policies }: BlkThreadOptions, request: BlkRequest): ErrorAction {
  const isRead = request.rw && !request.isWrite;
  const action = errors.decide(policies, isRead, request.host.error, request.requestId);
  request.status = action === 'ignore' ? BLK_S.ok : BLK_S.ioerr;
  return action;
}
