/** The queues that wait for their turn with the device's thread, each once. */
import type { VirtQueueState } from '../device.ts';

export class QueueLine {
  readonly #waiting: VirtQueueState[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(queue: VirtQueueState): void {
    if (!this.#waiting.includes(queue)) this.#waiting.push(queue);
  }

  shift(): VirtQueueState | undefined {
    return this.#waiting.shift();
  }

  /** Takes out one queue, or all. */
  drop(queue?: VirtQueueState): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (queue !== undefined && waiting !== queue) this.#waiting.push(waiting);
      else waiting.goesOn = false;
    }
  }
}
