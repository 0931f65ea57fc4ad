/**
 * Requests that fail at the host: what `rerror=` or `werror=` makes of each, who is told, and the machine that stands still until its
 * person has made space (block/block-backend.c, `blk_error_action`; softmmu/runstate.c).
 */
import { errnoOf, errorAction, type OnErrors } from '../block/on-error.ts';
import { ERROR_ACTIONS, OP, type ErrorAction } from '../trace/format.ts';
import { E } from '../trace/registry.ts';
import type { TraceRing } from '../trace/ring.ts';
import type { RunState } from './run-state.ts';

/** QMP's `BLOCK_IO_ERROR`, for whoever shows it. */
export interface IoErrorReport {
  /** On whose behalf, 0 for nobody's. */
  requestId: number;
  operation: 'read' | 'write';
  action: ErrorAction;
  errno: number;
  error: unknown;
}

export interface IoErrorsOptions {
  trace: TraceRing;
  /** What a `stop` policy stops; without it such errors are reported to the guest. */
  runState?: RunState | undefined;
  /** Hears of every failed request. */
  onIoError?: ((report: IoErrorReport) => void) | undefined;
}

export class IoErrors {
  readonly #o: IoErrorsOptions;

  constructor(options: IoErrorsOptions) {
    this.#o = options;
  }

  /** The virtual CPUs run and devices may begin something. */
  get running(): boolean {
    return this.#o.runState?.running ?? true;
  }

  /** Whether the device has to keep the request (`stop`), tell its guest of the error (`report`) or go on as if all were well. */
  decide(policies: OnErrors, isRead: boolean, error: unknown, requestId: number): ErrorAction {
    const { trace, runState, onIoError } = this.#o;
    const errno = errnoOf(error);
    const wanted = errorAction(isRead ? policies.rerror : policies.werror, isRead, errno);
    const action = wanted === 'stop' && runState === undefined ? 'report' : wanted;
    const op = isRead ? OP.read : OP.write;
    trace.emit(E.BLOCK_IO_ERROR, requestId, op, ERROR_ACTIONS.indexOf(action), errno, 0);
    onIoError?.({ requestId, operation: isRead ? 'read' : 'write', action, errno, error });
    return action;
  }

  /** A request waits: nothing new is begun until `cont`. */
  stop(): void {
    this.#o.runState?.stop('io-error');
  }

  /** `retry` is called on every `cont`. */
  onCont(retry: () => void): void {
    this.#o.runState?.onChange((status) => {
      if (status === 'running') retry();
    });
  }
}
