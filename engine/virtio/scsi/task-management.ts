/** Task management functions (virtio 1.2, section 5.6.6.2; SAM-5 section 7), as QEMU's `virtio_scsi_do_tmf` answers them. */
import type { ScsiBus } from '../../scsi/bus.ts';
import { RESPONSE, TMF } from './protocol.ts';
import type { ScsiRequest } from './request.ts';

export interface TaskSet {
  readonly bus: ScsiBus;
  /** Commands that run. */
  running(): Iterable<ScsiRequest>;
  /** Cancels a command; it will answer `response`, and then the task management request may. */
  cancel(command: ScsiRequest, response: number, waiter: ScsiRequest): void;
}

/** Carries out `request`, whose `response` and `remaining` it sets: while `remaining` is not 0 its answer has to wait. */
export function manageTasks(tasks: TaskSet, request: ScsiRequest): void {
  const { subtype, target, lun } = request;
  request.response = RESPONSE.ok;
  if (subtype === TMF.itNexusReset) {
    // Byte 1 alone says which target; the rest of the address is not looked at.
    resetTarget(tasks, request);
    return;
  }
  if (subtype === TMF.clearAca || subtype > TMF.queryTaskSet) {
    request.response = RESPONSE.functionRejected;
    return;
  }
  const unit = target < 0 ? undefined : tasks.bus.nearest(target, lun);
  if (unit === undefined) {
    request.response = RESPONSE.badTarget;
    return;
  }
  if (tasks.bus.unit(target, lun) === undefined) {
    request.response = RESPONSE.incorrectLun;
    return;
  }
  const mine = [...tasks.running()].filter((task) => task.target === target && task.lun === lun);
  switch (subtype) {
    case TMF.logicalUnitReset:
      cancelAll(tasks, request, mine, RESPONSE.reset);
      unit.reset();
      break;
    case TMF.queryTask:
      if (mine.some((task) => task.sameTag(request))) request.response = RESPONSE.functionSucceeded;
      break;
    case TMF.queryTaskSet:
      if (mine.length > 0) request.response = RESPONSE.functionSucceeded;
      break;
    case TMF.abortTask:
      cancelAll(tasks, request, mine.filter((task) => task.sameTag(request)).slice(0, 1), RESPONSE.aborted);
      break;
    default:
      cancelAll(tasks, request, mine, RESPONSE.aborted);
  }
}

function resetTarget(tasks: TaskSet, request: ScsiRequest): void {
  const target = request.header[TARGET_AT];
  for (const { target: id, lun, unit } of tasks.bus.units()) {
    if (id !== target) continue;
    const running = [...tasks.running()].filter((task) => task.target === id && task.lun === lun);
    cancelAll(tasks, request, running, RESPONSE.reset);
    unit.reset();
  }
}

/** The target's byte in a task management request. */
const TARGET_AT = 9;

function cancelAll(
  tasks: TaskSet,
  request: ScsiRequest,
  commands: readonly ScsiRequest[],
  response: number,
): void {
  for (const command of commands) {
    request.remaining++;
    tasks.cancel(command, response, request);
  }
}
