/**
 * Events that always come together, recorded as one: a hot path that is never looked at in between stores what they have in common, and
 * the rows are made of it when somebody looks. To a reader there is no difference.
 */
import { E } from './registry.ts';

export interface Burst {
  /** Place in `BURSTS`. */
  readonly id: number;
  /** The events, in their order: three or eight. */
  readonly events: readonly number[];
  readonly count: number;
  /** Writes the four argument words of the event at `place` to `out`, from the four words that were recorded. */
  args(place: number, a: number, b: number, c: number, d: number, out: Uint32Array): void;
}

const bursts: Burst[] = [];

function burst(events: readonly number[], args: Burst['args']): Burst {
  const made = { id: bursts.length, events, count: events.length, args };
  bursts.push(made);
  return made;
}

function set(out: Uint32Array, a: number, b: number, c: number, d: number): void {
  out[0] = a;
  out[1] = b;
  out[2] = c;
  out[3] = d;
}

/**
 * A read or a write of a plain chain by virtio-blk. Recorded: head and (from bit 16 on) index of the used element, sector, bytes, queue
 * and (from bit 16 on) buffers to write.
 */
const transfer = (events: readonly number[]): Burst =>
  burst(events, (place, headAndIdx, sector, bytes, queueAndIn, out) => {
    const head = headAndIdx & 0xffff;
    const queue = queueAndIn & 0xffff;
    const inCount = queueAndIn >>> 16;
    const offset = sector * 512;
    switch (place) {
      case 0:
        return set(out, queue, head, inCount, 3 - inCount);
      case 1:
        return set(out, sector, 0, bytes >>> 9, 0);
      case 2:
        return set(out, offset >>> 0, Math.floor(offset / 0x1_0000_0000), bytes, 0);
      case 3:
      case 4:
        return set(out, 0, 0, 0, 0);
      case 5:
        return set(out, queue, head, inCount === 1 ? 1 : bytes + 1, headAndIdx >>> 16);
      default:
        return set(out, queue, place === 6 ? 1 : 0, 0, 0);
    }
  });

const READ = [E.virtqueue_pop, E.virtio_blk_handle_read, E.blk_co_preadv];
const WRITE = [E.virtqueue_pop, E.virtio_blk_handle_write, E.blk_co_pwritev];
const ANSWER = [E.virtio_blk_rw_complete, E.virtio_blk_req_complete, E.virtqueue_fill, E.virtqueue_flush];

/** Up to the host, for those that it answers later; and all of it, by how the driver is told. */
export const BURST = {
  readBegun: transfer(READ),
  writeBegun: transfer(WRITE),
  read: {
    notify: transfer([...READ, ...ANSWER, E.virtio_notify]),
    irqfd: transfer([...READ, ...ANSWER, E.virtio_notify_irqfd]),
    quiet: transfer([...READ, ...ANSWER, E.virtio_should_notify]),
  },
  write: {
    notify: transfer([...WRITE, ...ANSWER, E.virtio_notify]),
    irqfd: transfer([...WRITE, ...ANSWER, E.virtio_notify_irqfd]),
    quiet: transfer([...WRITE, ...ANSWER, E.virtio_should_notify]),
  },
} as const;

/** By number. */
export const BURSTS: readonly Burst[] = bursts;
