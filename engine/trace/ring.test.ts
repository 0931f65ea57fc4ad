import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PlatterError } from '../errors.ts';
import { BURST } from './burst.ts';
import { findEvents, requestHistory } from './query.ts';
import { E, eventByName } from './registry.ts';
import { highWord, TraceRing } from './ring.ts';
import { decodeRow } from './row.ts';
import { loadTrace, saveTrace } from './save.ts';
import { formatArg } from './format.ts';

/** More on demand: `PLATTER_TRACE_FUZZ=20000 npx vitest run engine/trace`. */
const FUZZ = Number(process.env.PLATTER_TRACE_FUZZ ?? 400);

function filled(events: number, capacity = 1024): TraceRing {
  const trace = new TraceRing({ capacity });
  for (let i = 0; i < events; i++) {
    trace.emit(i % 2 === 0 ? E.virtqueue_pop : E.virtio_blk_handle_read, (i % 7) + 1, i, 0, 0, 0);
  }
  return trace;
}

describe('the ring of events', () => {
  it('keeps the newest events under their absolute numbers', () => {
    const trace = filled(3000);
    expect(trace.total).toBe(3000);
    expect(trace.first).toBe(3000 - 1024);
    const numbers = findEvents(trace, 0, 5);
    expect(numbers).toEqual([1976, 1977, 1978, 1979, 1980]);
    expect(decodeRow(trace.copy(numbers), 2)).toMatchObject({ name: 'virtqueue_pop', args: [1978, 0, 0, 0] });
  });

  it('finds the newest, those of one request, of one event, of one station', () => {
    const trace = filled(100);
    expect(findEvents(trace, -1, 3)).toEqual([97, 98, 99]);
    expect(requestHistory(trace, 3)).toEqual(Array.from({ length: 14 }, (_, i) => 2 + i * 7));
    expect(findEvents(trace, 0, 2, { events: new Set([E.virtio_blk_handle_read]) })).toEqual([1, 3]);
    expect(findEvents(trace, 0, 100, { stations: new Set([6]) })).toEqual([]);
  });

  it('stamps both clocks: the real one now and then, the model one with the cost of each event', () => {
    let now = 1000;
    const trace = new TraceRing({ capacity: 1024, clock: () => (now += 10) });
    trace.costs[E.kvm_exit] = 500;
    for (let i = 0; i < 200; i++) trace.emit(E.kvm_exit, 0, 0, 0, 0, 0);
    const rows = trace.copy(findEvents(trace, 0, 200));
    const times = Array.from({ length: 200 }, (_, i) => decodeRow(rows, i));
    expect(times.map(({ modelNs }) => modelNs)).toEqual(Array.from({ length: 200 }, (_, i) => (i + 1) * 500));
    expect(new Set(times.map(({ realNs }) => realNs)).size).toBeLessThan(10);
    trace.exactClock = true;
    trace.readClock();
    for (let i = 0; i < 10; i++) trace.emit(E.kvm_exit, 0, 0, 0, 0, 0);
    const exact = trace.copy(findEvents(trace, -1, 10));
    expect(new Set(Array.from({ length: 10 }, (_, i) => decodeRow(exact, i).realNs)).size).toBe(10);
  });

  it('records nothing while it is off', () => {
    const trace = new TraceRing();
    trace.enabled = false;
    trace.emit(E.kvm_exit, 1, 0, 0, 0, 0);
    expect(trace.total).toBe(0);
    expect(trace.counts[E.kvm_exit]).toBe(0);
  });

  it('carries 64-bit arguments up to 2^53 whole', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (address) => {
        const trace = new TraceRing({ capacity: 1024 });
        trace.emit(E.kvm_exit, 0, 2, address >>> 0, highWord(address), 4);
        expect(decodeRow(trace.copy([0]), 0).args).toEqual([2, address, 4]);
      }),
    );
  });

  it('decodes any words without throwing: rows come from another process', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff_ffff), { maxLength: 10 }), (words) => {
        const row = decodeRow(Uint32Array.from(words), 0);
        expect(Number.isFinite(row.realNs) && Number.isFinite(row.modelNs)).toBe(true);
      }),
    );
  });

  it('shows arguments in words of the field', () => {
    expect(formatArg('device-status', 15)).toBe('ACKNOWLEDGE|DRIVER|DRIVER_OK|FEATURES_OK');
    expect(formatArg('signed', 0xffff_fffb)).toBe('-5');
    expect(formatArg('exit', 0)).toBe('EPT_MISCONFIG');
    expect(formatArg('blk-type', 77)).toBe('0x4d');
  });
});

describe('saved traces', () => {
  it('come back as they were', () => {
    const trace = filled(50);
    const loaded = loadTrace(saveTrace(trace));
    expect(loaded.total).toBe(50);
    const numbers = findEvents(trace, 0, 50);
    expect(loaded.copy(numbers)).toEqual(trace.copy(numbers));
  });

  const header = '{"platter-trace":1}';
  const row = (change: object): string =>
    JSON.stringify({
      event: 'virtqueue_flush',
      request: 1,
      real_ns: 1,
      model_ns: 2,
      args: { queue: 0, count: 1 },
      ...change,
    });
  it.each([
    ['trace.not-a-trace', ['']],
    ['trace.not-a-trace', ['{}']],
    ['trace.not-a-trace', ['{"platter-trace":2}']],
    ['trace.invalid', ['not json']],
    ['trace.invalid', [header, '[]']],
    ['trace.invalid', [header, row({ event: '__proto__' })]],
    ['trace.invalid', [header, row({ request: -1 })]],
    ['trace.invalid', [header, row({ request: 2 ** 32 })]],
    ['trace.invalid', [header, row({ real_ns: '1' })]],
    ['trace.invalid', [header, row({ model_ns: null })]],
    ['trace.invalid', [header, row({ args: null })]],
    ['trace.invalid', [header, row({ args: { queue: 0, count: 1e300 } })]],
    ['trace.invalid', [header, `${row({})}${' '.repeat(5000)}`]],
  ])('hostile inputs, devices, line 16: %s for %j', (code, lines) => {
    expect(() => loadTrace(lines)).toThrowError(expect.objectContaining({ code }));
  });

  it('hostile inputs, devices, line 16: what is changed anywhere is refused, or is a trace that can be shown', () => {
    const saved = [...saveTrace(filled(20))].join('\n');
    let state = 16;
    const pick = (most: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * most);
    };
    const pieces = [
      '"',
      '}',
      ',',
      '-',
      '1e999',
      'null',
      '{}',
      '[',
      '__proto__',
      '9'.repeat(30),
      '\n',
      '0.5',
      '',
    ];
    for (let run = 0; run < FUZZ; run++) {
      let text = saved;
      for (let i = 1 + pick(4); i > 0; i--) {
        const at = pick(text.length);
        text = text.slice(0, at) + pieces[pick(pieces.length)] + text.slice(at + pick(12));
      }
      let loaded;
      try {
        loaded = loadTrace(text.split('\n'));
      } catch (error) {
        expect(error).toBeInstanceOf(PlatterError);
        continue;
      }
      const rows = loaded.copy(findEvents(loaded, 0, loaded.total));
      for (let row = 0; row < loaded.total; row++) {
        const { realNs, modelNs, requestId } = decodeRow(rows, row);
        expect([realNs, modelNs, requestId].every((value) => value >= 0)).toBe(true);
      }
    }
    expect(Object.hasOwn(Object.prototype, 'queue')).toBe(false);
  });

  it('name the line that is wrong', () => {
    expect(() => loadTrace([header, row({}), row({ event: 'nothing' })])).toThrow(/line 3/);
    expect(loadTrace([header, row({})]).eventAt(0)).toBe(eventByName('virtqueue_flush')?.id);
  });
});

describe('bursts', () => {
  /** The same requests as bursts and as single events. */
  function both(capacity: number, requests: number, exact = false): [TraceRing, TraceRing] {
    const rings = [0, 1].map(() => new TraceRing({ capacity, clock: () => 5 }));
    const [bursts, singles] = rings;
    for (const ring of rings) {
      ring.exactClock = exact;
      for (const event of [E.virtqueue_pop, E.virtqueue_fill, E.virtio_notify]) ring.costs[event] = event;
    }
    const args = new Uint32Array(4);
    for (let i = 1; i <= requests; i++) {
      const burst = [BURST.read.notify, BURST.write.quiet, BURST.readBegun][i % 3];
      const words = [7 | ((i & 0xffff) << 16), i * 8, 4096, 3 | ((1 + (i & 1)) << 16)] as const;
      bursts.emitBurst(burst, i, ...words);
      burst.events.forEach((event, place) => {
        burst.args(place, ...words, args);
        singles.emit(event, i, args[0], args[1], args[2], args[3]);
      });
      for (const ring of rings) if (i % 5 === 0) ring.emit(E.kvm_exit, 0, 1, 2, 3, 4);
    }
    return [bursts, singles];
  }

  it.each([
    ['a ring that holds them all', 65536, 500, false],
    ['a ring that went round', 1024, 3001, false],
    ['an exact clock', 1024, 700, true],
  ])('read as the events that they stand for: %s', (_, capacity, requests, exact) => {
    const [bursts, singles] = both(capacity, requests, exact);
    expect(bursts.total).toBe(singles.total);
    expect(bursts.counts).toEqual(singles.counts);
    expect(bursts.modelNs).toBe(singles.modelNs);
    const from = bursts.first;
    expect(from - singles.first).toBeLessThan(8);
    const numbers = Array.from({ length: bursts.total - from }, (_n, i) => from + i);
    expect(bursts.copy(numbers)).toEqual(singles.copy(numbers));
    expect(numbers.map((n) => [bursts.eventAt(n), bursts.requestAt(n)])).toEqual(
      numbers.map((n) => [singles.eventAt(n), singles.requestAt(n)]),
    );
  });

  it('a real clock that stops being exact goes on from the next group of events, and never back', () => {
    let now = 0;
    const trace = new TraceRing({ capacity: 1024, clock: () => (now += 10) });
    for (let i = 0; i < 600; i++) {
      if (i === 200) trace.exactClock = true;
      if (i === 300) trace.exactClock = false;
      trace.emit(E.kvm_exit, 0, 0, 0, 0, 0);
    }
    const rows = trace.copy(findEvents(trace, 0, 600));
    const times = Array.from({ length: 600 }, (_, i) => decodeRow(rows, i).realNs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set(times.slice(400)).size).toBeLessThan(4);
  });

  it('record nothing while the trace is off', () => {
    const trace = new TraceRing();
    trace.enabled = false;
    trace.emitBurst(BURST.read.notify, 1, 0, 0, 512, 0);
    expect(trace.total).toBe(0);
    expect(trace.counts[E.virtqueue_pop]).toBe(0);
  });
});
