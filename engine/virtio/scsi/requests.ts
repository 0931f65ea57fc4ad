/** The requests of one SCSI host: kept and used again; those prepared for their units, at the host, or done. */
import type { VirtQueueState } from '../device.ts';
import { PLACE, ScsiRequest } from './request.ts';

/** A queue of requests linked through themselves: no garbage. */
class Fifo {
  #head: ScsiRequest | undefined;
  #tail: ScsiRequest | undefined;

  get any(): boolean {
    return this.#head !== undefined;
  }
  push(request: ScsiRequest): void {
    request.next = undefined;
    if (this.#tail === undefined) this.#head = request;
    else this.#tail.next = request;
    this.#tail = request;
  }
  shift(): ScsiRequest | undefined {
    const first = this.#head;
    if (first === undefined) return undefined;
    this.#head = first.next;
    if (this.#head === undefined) this.#tail = undefined;
    return first;
  }
  /** Takes out what `concerns`. */
  drop(concerns: (request: ScsiRequest) => boolean, release: (request: ScsiRequest) => void): void {
    let request = this.#head;
    this.#head = this.#tail = undefined;
    while (request !== undefined) {
      const next = request.next;
      if (concerns(request)) release(request);
      else this.push(request);
      request = next;
    }
  }
}

export class ScsiRequests {
  /** Requests at the host, or run by a unit that answers later: they cannot be called back. */
  atHost = 0;
  /** Understood, and not yet given to their units: QEMU's handler first empties the ring. */
  readonly prepared = new Fifo();
  /** They have their answers and wait for their turn to be completed. */
  readonly done = new Fifo();
  /** Failed requests that wait for the machine to run on, the oldest first. */
  readonly retry: ScsiRequest[] = [];
  readonly #all: ScsiRequest[] = [];
  readonly #free: ScsiRequest[] = [];
  readonly #hostFinished: (request: ScsiRequest) => void;

  constructor(hostFinished: (request: ScsiRequest) => void) {
    this.#hostFinished = hostFinished;
  }

  take(): ScsiRequest {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const made = new ScsiRequest(this.#hostFinished);
    this.#all.push(made);
    return made;
  }

  readonly release = (request: ScsiRequest): void => {
    request.place = PLACE.free;
    this.#free.push(request);
  };

  /** Commands that run. */
  *running(): Generator<ScsiRequest> {
    for (const request of this.#all) if (request.place === PLACE.host) yield request;
  }

  /**
   * Forgets the requests of `queue`, or all: its elements are somebody else's from now on. Those at the host are only marked:
   * nothing of theirs is begun any more, and they are dropped when the host reports them.
   */
  drop(queue?: VirtQueueState): void {
    const concerns = (request: ScsiRequest): boolean => queue === undefined || request.queue === queue;
    for (const request of this.#all) {
      if (request.place === PLACE.waiting && concerns(request)) this.release(request);
    }
    for (const request of this.running()) {
      if (request.waiter?.place === PLACE.free) request.waiter = undefined;
      if (!concerns(request)) continue;
      request.host.cancelled = true;
      request.generation = -1;
    }
    for (const request of this.retry.splice(0)) {
      if (concerns(request)) this.release(request);
      else this.retry.push(request);
    }
    this.prepared.drop(concerns, this.release);
    this.done.drop(concerns, this.release);
  }
}
