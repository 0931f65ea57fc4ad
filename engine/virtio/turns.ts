/**
 * Whose turn it is with a device's thread. Queues wait in a line, each once; a turn takes at most as many chains as the queue has entries,
 * so that one doorbell never keeps the others waiting for longer. What is left is taken when everybody else had a turn.
 */
import type { VirtQueueState } from './device.ts';

export class Turns {
  /** Chains that the present turn may still take. */
  left = 0;
  /** Where to go on after something that came between: the queue that is being emptied. */
  resume: VirtQueueState | undefined;
  readonly #waiting: VirtQueueState[] = [];

  /** Whether a queue waits for its turn. */
  get any(): boolean {
    return this.#waiting.length > 0;
  }

  add(queue: VirtQueueState): void {
    if (!this.#waiting.includes(queue)) this.#waiting.push(queue);
  }

  /** Begins the turn of the queue that has waited longest; undefined when none waits. */
  next(): VirtQueueState | undefined {
    const queue = this.#waiting.shift();
    if (queue !== undefined) this.left = queue.size;
    return queue;
  }

  /** Whether the queue's turn is the rest of one that was over before its ring was empty: no doorbell was rung for it. */
  goesOn(queue: VirtQueueState): boolean {
    const rest = queue.goesOn;
    queue.goesOn = false;
    return rest;
  }

  /** The turn is over and the ring is not empty: the queue goes to the end of the line. */
  end(queue: VirtQueueState): void {
    queue.goesOn = true;
    this.resume = undefined;
    this.add(queue);
  }

  /** Takes out one queue, or all. */
  drop(queue?: VirtQueueState): void {
    if (queue === undefined || this.resume === queue) this.resume = undefined;
    for (const waiting of this.#waiting.splice(0)) {
      if (queue !== undefined && waiting !== queue) this.#waiting.push(waiting);
      else waiting.goesOn = false;
    }
  }
}
