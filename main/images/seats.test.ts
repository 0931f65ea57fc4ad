import { beforeEach, describe, expect, it } from 'vitest';
import { Seats, type Seat } from './seats.ts';

let seats: Seats;
let rested: string[];
let busy: Set<string>;
beforeEach(() => {
  seats = new Seats(3, 2);
  rested = [];
  busy = new Set();
});
const take = (name: string, first = false): Seat =>
  seats.take({ idle: () => !busy.has(name), rest: () => void rested.push(name) }, first);
const phases = (...all: Seat[]) => all.map(({ phase }) => phase).join(' ');

describe('Seats', () => {
  it('opens a few at a time, and puts to rest what nobody has asked anything', async () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => take(name));
    expect(phases(a, b, c, d)).toBe('opening opening waiting waiting');
    expect(await a.entered).toBe(true);
    a.opened();
    a.use()();
    b.opened();
    expect(phases(a, b, c, d)).toBe('open left opening opening');
    expect(rested).toEqual(['b']);
  });

  it('keeps what is in use or must not rest, and goes on when that has ended', () => {
    const all = ['a', 'b', 'c'].map((name) => take(name));
    const uses = all.map((seat) => {
      seat.opened();
      return seat.use();
    });
    busy.add('a');
    const d = take('d');
    expect(d.phase).toBe('waiting');
    uses[0]();
    expect(d.phase).toBe('waiting');
    uses[1]();
    expect(d.phase).toBe('opening');
    expect(rested).toEqual(['b']);
  });

  it('opens others while the person is asked about one', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => take(name));
    a.asking(true);
    expect(phases(a, b, c)).toBe('asking opening opening');
    a.asking(false);
    a.opened();
    expect(a.phase).toBe('open');
  });

  it('lets the one that is waited for come first, and tells those that are given up', async () => {
    const [, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((name) => take(name));
    seats.hurry([e, d]);
    const f = take('f', true);
    d.leave();
    expect(await d.entered).toBe(false);
    b.leave();
    expect(phases(f, e, c)).toBe('opening waiting waiting');
    seats.close();
    expect(await Promise.all([e.entered, c.entered])).toEqual([false, false]);
    f.leave();
    expect(take('g').phase).toBe('waiting');
  });

  it('lets one that is hurried twice in once', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => take(name));
    seats.hurry([c, c]);
    for (const seat of [a, c, b]) seat.opened();
    expect(phases(a, b, c)).toBe('open open open');
    expect(take('d').phase).toBe('opening');
  });
});
