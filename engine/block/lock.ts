/**
 * Who may run beside whom on one node: reads and overwrites in place share it, whatever changes mapping tables has it alone.
 * Over files everything is synchronous and nobody ever waits; over a server requests overlap and this keeps them apart.
 */
import { isPromise, type Maybe } from '../maybe.ts';

interface Waiting {
  exclusive: boolean;
  start: () => void;
}

export class OperationLock {
  #sharing = 0;
  #alone = false;
  readonly #queue: Waiting[] = [];

  /** Nobody is at work: an operation that finishes synchronously needs no lock at all. */
  get idle(): boolean {
    return this.#sharing === 0 && !this.#alone;
  }

  shared<T>(operation: () => Maybe<T>): Maybe<T> {
    if (this.#alone || this.#queue.length > 0) return this.#wait(false, operation);
    return this.trackShared(operation());
  }

  /** Counts an operation that was started while `idle` was true and turned out to take time. */
  trackShared<T>(result: Maybe<T>): Maybe<T> {
    if (!isPromise(result)) return result;
    this.#sharing++;
    return result.finally(() => {
      this.#sharing--;
      this.#next();
    });
  }

  exclusive<T>(operation: () => Maybe<T>): Maybe<T> {
    if (!this.idle || this.#queue.length > 0) return this.#wait(true, operation);
    return this.#trackAlone(operation());
  }

  #trackAlone<T>(result: Maybe<T>): Maybe<T> {
    if (!isPromise(result)) return result;
    this.#alone = true;
    return result.finally(() => {
      this.#alone = false;
      this.#next();
    });
  }

  #wait<T>(exclusive: boolean, operation: () => Maybe<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = (): void => {
        try {
          const result = exclusive ? this.#trackAlone(operation()) : this.trackShared(operation());
          resolve(result);
        } catch (error) {
          reject(error);
        }
      };
      this.#queue.push({ exclusive, start });
      this.#next();
    });
  }

  #next(): void {
    for (;;) {
      const first = this.#queue[0];
      if (first === undefined || this.#alone || (first.exclusive && this.#sharing > 0)) return;
      this.#queue.shift();
      first.start();
    }
  }
}
