/**
 * VIRTIO_F_IN_ORDER on the device's side (virtio 1.2, sections 2.7.9 and 2.8.9): chains that were finished early wait for those that
 * were made available before them.
 */
import { completedTwice, type QueueElement } from './element.ts';

export class InOrder {
  readonly #taken: QueueElement[] = [];

  taken(element: QueueElement): void {
    this.#taken.push(element);
  }

  /** The device is done with it. Throws `virtio.completed-twice`. */
  done(element: QueueElement, written: number): void {
    if (element.done || !element.popped) throw completedTwice(element.head);
    element.written = written;
    element.done = true;
  }

  /** How many chains at the front are done: these can be given back. */
  get ready(): number {
    const pending = this.#taken.findIndex(({ done }) => !done);
    return pending < 0 ? this.#taken.length : pending;
  }

  /**
   * How many of the first `ready` chains one used element can stand for: it names the last one, and the driver takes those before it
   * for used completely, so they must be.
   */
  batch(ready: number): number {
    let count = 1;
    while (count < ready && this.#taken[count - 1].written === this.#taken[count - 1].inBytes) count++;
    return count;
  }

  /** Removes the first chain. */
  shift(): QueueElement | undefined {
    return this.#taken.shift();
  }

  clear(): void {
    this.#taken.length = 0;
  }
}
