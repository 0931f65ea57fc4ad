/**
 * Whose turn it is to have a process. Every image has one of its own while somebody looks at it; a folder of hundreds would ask for
 * more memory than a machine has. So a few are opened at a time, a few more stay open, and the others rest until they are asked.
 */
import { availableParallelism } from 'node:os';

/** Processes that there may be for images. */
export const MOST_OPEN = 24;

/** Images that are opened at the same time: it is work for the processor, and it delays the one that the person waits for. */
export const MOST_OPENING = Math.min(8, Math.max(2, availableParallelism()));

export interface SeatOwner {
  /** Whether its process may be ended now. */
  idle(): boolean;
  /** Ends its process; it is opened again when it is asked something. */
  rest(): void;
}

type Phase = 'waiting' | 'opening' | 'asking' | 'open' | 'left';

/** A place among the processes, or in the queue for one. */
export class Seat {
  readonly owner: SeatOwner;
  readonly #seats: Seats;
  phase: Phase = 'waiting';
  /** Calls that are under way, and whether there was one at all. */
  uses = 0;
  wanted = false;
  #enter: (entered: boolean) => void = () => undefined;
  /** Whether its process may be started now; false when it was given up while it waited. */
  readonly entered: Promise<boolean>;

  constructor(seats: Seats, owner: SeatOwner) {
    this.#seats = seats;
    this.owner = owner;
    this.entered = new Promise((resolve) => (this.#enter = resolve));
  }

  /** For the queue. */
  admit(): void {
    this.phase = 'opening';
    this.#enter(true);
  }

  /** While the person is asked about it, others are opened. */
  asking(asked: boolean): void {
    if (this.phase !== 'opening' && this.phase !== 'asking') return;
    this.phase = asked ? 'asking' : 'opening';
    this.#seats.next();
  }

  opened(): void {
    if (this.phase === 'opening' || this.phase === 'asking') this.phase = 'open';
    this.#seats.next();
  }

  /** Keeps its process alive until what it answers is called. */
  use(): () => void {
    this.uses++;
    this.wanted = true;
    return () => {
      this.uses--;
      this.#seats.used(this);
    };
  }

  /** Its process is gone, or it is not wanted any more. */
  leave(): void {
    if (this.phase === 'left') return;
    this.phase = 'left';
    this.#enter(false);
    this.#seats.remove(this);
  }
}

export class Seats {
  readonly #open: number;
  readonly #opening: number;
  readonly #waiting: Seat[] = [];
  /** Those with a process, the one that was opened or used longest ago in front. */
  #seated: Seat[] = [];
  #closed = false;

  constructor(open = MOST_OPEN, opening = MOST_OPENING) {
    this.#open = open;
    this.#opening = opening;
  }

  /** @param first before all that wait */
  take(owner: SeatOwner, first: boolean): Seat {
    const seat = new Seat(this, owner);
    if (first) this.#waiting.unshift(seat);
    else this.#waiting.push(seat);
    this.next();
    return seat;
  }

  /** These come before all others that wait, in their order. */
  hurry(seats: readonly Seat[]): void {
    // Whoever is named twice waits once.
    const wanted = [...new Set(seats)].filter((seat) => this.#waiting.includes(seat));
    const others = this.#waiting.filter((seat) => !wanted.includes(seat));
    this.#waiting.splice(0, this.#waiting.length, ...wanted, ...others);
  }

  /** Nobody gets a place any more. */
  close(): void {
    this.#closed = true;
    for (const seat of this.#waiting.slice()) seat.leave();
  }

  /** For a seat whose use has ended: it is the last one that has to rest. */
  used(seat: Seat): void {
    if (!this.#seated.includes(seat)) return;
    this.#seated = [...this.#seated.filter((one) => one !== seat), seat];
    this.next();
  }

  remove(seat: Seat): void {
    const at = this.#waiting.indexOf(seat);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#seated = this.#seated.filter((one) => one !== seat);
    this.next();
  }

  /** Lets in whoever may come. */
  next(): void {
    while (!this.#closed && this.#waiting.length > 0) {
      if (this.#seated.filter(({ phase }) => phase === 'opening').length >= this.#opening) return;
      if (this.#seated.length >= this.#open && !this.#makeRoom()) return;
      const seat = this.#waiting.shift();
      if (seat === undefined) return;
      this.#seated.push(seat);
      seat.admit();
    }
  }

  #makeRoom(): boolean {
    const idle = this.#seated.find(
      ({ phase, uses, owner }) => phase === 'open' && uses === 0 && owner.idle(),
    );
    if (idle === undefined) return false;
    idle.phase = 'left';
    this.#seated = this.#seated.filter((one) => one !== idle);
    idle.owner.rest();
    return true;
  }
}
