import { describe, expect, it } from 'vitest';
import { chainRows, flagNames, tableRows } from './chains.ts';
import { availSlots, usedSlots } from './rings.ts';
import { emptyQueue, offer, pop, push } from './testing.ts';

describe('rings of a split queue', () => {
  it('follows one request from offered over taken to used (2.7.6, 2.7.8)', () => {
    const queue = emptyQueue(8);
    offer(queue, 7, [0, 1, 2]);
    expect(availSlots(queue)[0]).toEqual({ state: 'waiting', request: 7 });
    pop(queue);
    expect(availSlots(queue)[0]).toEqual({ state: 'taken', request: 7 });
    expect(usedSlots(queue)[0].state).toBe('idle');
    push(queue, 0);
    expect(availSlots(queue)[0].state).toBe('idle');
    expect(usedSlots(queue)[0]).toEqual({ state: 'waiting', request: 7 });
  });

  it('shows as taken what is still in flight when a later request has finished first', () => {
    const queue = emptyQueue(8);
    offer(queue, 1, [0, 1]);
    offer(queue, 2, [2, 3]);
    pop(queue);
    pop(queue);
    push(queue, 2);
    expect(availSlots(queue)[0]).toEqual({ state: 'taken', request: 1 });
    expect(availSlots(queue)[1].state).toBe('idle');
  });

  it('wraps its 16-bit indices', () => {
    const queue = emptyQueue(4);
    queue.avail.idx = queue.lastAvailIdx = 0xffff;
    offer(queue, 3, [1]);
    expect(queue.avail.idx).toBe(0);
    expect(availSlots(queue)[3]).toEqual({ state: 'waiting', request: 3 });
  });

  it('never marks more slots than the ring has, whatever the guest wrote', () => {
    const queue = emptyQueue(4);
    queue.avail.idx = 1000;
    queue.avail.ring.fill(999);
    expect(availSlots(queue)).toHaveLength(4);
    expect(availSlots(queue).every((s) => s.request === 0)).toBe(true);
  });
});

describe('descriptor chains', () => {
  it('puts the rows of a chain together, head first', () => {
    const queue = emptyQueue(8);
    offer(queue, 5, [6, 2, 4]);
    expect(chainRows(queue).map((r) => [r.index, r.position, r.chainLength])).toEqual([
      [6, 0, 3],
      [2, 1, 3],
      [4, 2, 3],
    ]);
    expect(tableRows(queue)[2]).toMatchObject({ head: 6, position: 1 });
    expect(tableRows(queue)[0]).toMatchObject({ head: -1, request: 0 });
  });

  it('ends a chain that goes in a circle or leaves the table', () => {
    const queue = emptyQueue(4);
    offer(queue, 1, [0, 1]);
    queue.desc.flags[1] = 1;
    queue.desc.next[1] = 1;
    expect(chainRows(queue).map((r) => r.index)).toEqual([0, 1]);
    queue.desc.next[1] = 0;
    expect(chainRows(queue).map((r) => r.index)).toEqual([0, 1]);
    queue.desc.next[1] = 900;
    expect(chainRows(queue).map((r) => r.index)).toEqual([0, 1]);
  });

  it('names flags as the specification does', () => {
    expect(flagNames(3)).toBe('NEXT WRITE');
    expect(flagNames(0)).toBe('');
  });
});
