/** Follows a split virtqueue's descriptor table (virtio 1.2, section 2.7.5) into chains that can be drawn as linked rows. */
import type { QueueView } from '#contract/lab.ts';

/** Descriptor flags (virtio 1.2, section 2.7.5). */
export const DESC = { next: 1, write: 2, indirect: 4 } as const;

/** One row of the descriptor table, with its place in the chain that holds it. */
export interface DescriptorRow {
  index: number;
  addr: number;
  /** Bytes. */
  len: number;
  flags: number;
  next: number;
  /** The request that holds it, 0 when it is free. */
  request: number;
  /** First descriptor of its chain, or -1 when free. */
  head: number;
  /** Place in the chain, 0 for the head. */
  position: number;
  /** How many descriptors the chain has. */
  chainLength: number;
}

/**
 * The descriptors in use, chain by chain in the order of their requests, so that a chain's rows stand together. A chain
 * whose links go in a circle or past the table ends there: the table belongs to the guest, which may write anything.
 */
export function chainRows(queue: QueueView): DescriptorRow[] {
  const rows: DescriptorRow[] = [];
  const drawn = new Set<number>();
  for (const head of chainHeads(queue)) {
    if (drawn.has(head)) continue;
    const chain = walk(queue, head);
    for (const [position, index] of chain.entries()) {
      drawn.add(index);
      rows.push(row(queue, index, head, position, chain.length));
    }
  }
  return rows;
}

/** The whole table in the order of its indices, each row with its place in its chain. */
export function tableRows(queue: QueueView): DescriptorRow[] {
  const byIndex = new Map(chainRows(queue).map((r) => [r.index, r]));
  const rows: DescriptorRow[] = [];
  for (let i = 0; i < queue.size; i++) rows.push(byIndex.get(i) ?? row(queue, i, -1, 0, 0));
  return rows;
}

/** Held descriptors, those first that no other of the same request points to; then the oldest request first. */
function chainHeads(queue: QueueView): number[] {
  const pointedTo = new Set<number>();
  const held: number[] = [];
  for (let i = 0; i < queue.size; i++) {
    const request = queue.requestOf[i];
    if (request === 0) continue;
    held.push(i);
    const next = queue.desc.next[i];
    if (queue.desc.flags[i] & DESC.next && next < queue.size && queue.requestOf[next] === request)
      pointedTo.add(next);
  }
  const order = (a: number, b: number) => queue.requestOf[a] - queue.requestOf[b] || a - b;
  const heads = held.filter((i) => !pointedTo.has(i)).sort(order);
  const circles = held.filter((i) => pointedTo.has(i)).sort(order);
  return [...heads, ...circles];
}

function walk(queue: QueueView, head: number): number[] {
  const seen = new Set<number>();
  let at = head;
  while (at < queue.size && !seen.has(at) && queue.requestOf[at] === queue.requestOf[head]) {
    seen.add(at);
    if (!(queue.desc.flags[at] & DESC.next)) break;
    at = queue.desc.next[at];
  }
  return [...seen];
}

function row(
  queue: QueueView,
  index: number,
  head: number,
  position: number,
  chainLength: number,
): DescriptorRow {
  return {
    index,
    addr: queue.desc.addr[index],
    len: queue.desc.len[index],
    flags: queue.desc.flags[index],
    next: queue.desc.next[index],
    request: queue.requestOf[index],
    head,
    position,
    chainLength,
  };
}

/** `NEXT WRITE` and so on; an empty text for none. */
export function flagNames(flags: number): string {
  const names = [];
  if (flags & DESC.next) names.push('NEXT');
  if (flags & DESC.write) names.push('WRITE');
  if (flags & DESC.indirect) names.push('INDIRECT');
  return names.join(' ');
}
