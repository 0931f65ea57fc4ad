/** The requests of one block device: kept and used again, and those that wait for something. */
import type { VirtQueueState } from '../device.ts';
import type { QueueElement } from '../queue/element.ts';
import { BlkRequest } from './request.ts';

export class BlkRequests {
  /** Requests at the host: they cannot be called back. */
  atHost = 0;
  /** Failed requests that wait for the machine to run on; the newest first, as QEMU keeps them. */
  readonly retry: BlkRequest[] = [];
  readonly #all: BlkRequest[] = [];
  readonly #free: BlkRequest[] = [];
  readonly #hostFinished: (request: BlkRequest) => void;
  #doneHead: BlkRequest | undefined;
  #doneTail: BlkRequest | undefined;

  constructor(hostFinished: (request: BlkRequest) => void) {
    this.#hostFinished = hostFinished;
  }

  /** The request that a chain is, begun in this generation of the device. */
  take(queue: VirtQueueState, element: QueueElement, requestId: number, generation: number): BlkRequest {
    const request = this.#free.pop() ?? this.#make();
    request.queue = queue;
    request.generation = generation;
    request.element = element;
    request.requestId = requestId;
    element.requestId = requestId;
    return request;
  }

  #make(): BlkRequest {
    const request = new BlkRequest(this.#hostFinished);
    this.#all.push(request);
    return request;
  }

  release(request: BlkRequest): void {
    this.#free.push(request);
  }

  get hasDone(): boolean {
    return this.#doneHead !== undefined;
  }

  /** It has its answer and waits for its turn to be completed. */
  pushDone(request: BlkRequest): void {
    request.next = undefined;
    if (this.#doneTail === undefined) this.#doneHead = request;
    else this.#doneTail.next = request;
    this.#doneTail = request;
  }

  shiftDone(): BlkRequest | undefined {
    const first = this.#doneHead;
    if (first === undefined) return undefined;
    this.#doneHead = first.next;
    if (this.#doneHead === undefined) this.#doneTail = undefined;
    return first;
  }

  /**
   * Forgets the requests of `queue`, or all: its elements are somebody else's from now on. Those at the host are only marked: nothing
   * of theirs is begun any more, and they are dropped when the host reports them.
   */
  drop(queue?: VirtQueueState): void {
    const concerns = (request: BlkRequest): boolean => queue === undefined || request.queue === queue;
    for (const request of this.#all) {
      if (!request.atHost || !concerns(request)) continue;
      request.host.cancelled = true;
      request.generation = -1;
    }
    for (const request of this.retry.splice(0)) {
      if (concerns(request)) this.release(request);
      else this.retry.push(request);
    }
    let request = this.#doneHead;
    this.#doneHead = this.#doneTail = undefined;
    while (request !== undefined) {
      const next = request.next;
      if (concerns(request)) this.release(request);
      else this.pushDone(request);
      request = next;
    }
  }
}
