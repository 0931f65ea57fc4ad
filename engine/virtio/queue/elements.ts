/** The elements of one device queue: made when they are first needed, then used again. */
import { QueueElement } from './element.ts';

export class ElementPool {
  readonly #all: QueueElement[] = [];
  readonly #free: QueueElement[] = [];

  /** A free element. It stays in the pool until `taken`, so that a chain that turns out broken needs no giving back. */
  peek(): QueueElement {
    const free = this.#free;
    if (free.length === 0) {
      const element = new QueueElement(this.#all.length);
      this.#all.push(element);
      free.push(element);
    }
    return free[free.length - 1];
  }

  /** The element that `peek` gave is in use. */
  taken(): void {
    this.#free.pop();
  }

  /** Throws `virtio.completed-twice` when it is not in use. */
  finish(element: QueueElement): void {
    element.finish();
    this.#free.push(element);
  }

  /** Takes back whatever is in use. */
  dropAll(): void {
    for (const element of this.#all) {
      if (!element.popped) continue;
      element.drop();
      this.#free.push(element);
    }
  }
}
