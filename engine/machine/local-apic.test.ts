/** Intel SDM volume 3, chapter 11, as far as the local APIC of the simulated CPUs has it. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalApic, MESSAGE } from './local-apic.ts';

const set = (bits: Uint8Array): number[] => [...bits.keys()].filter((vector) => bits[vector] === 1);

describe('section 11.8.4: acceptance of fixed interrupts', () => {
  it('takes the highest vector first, whatever came first', () => {
    const apic = new LocalApic();
    for (const vector of [0x31, 0xd0, 0x80, 0x45]) apic.message(vector, vector * 2);
    const taken: [number, number][] = [];
    for (let irq = apic.take(); irq !== undefined; irq = apic.take()) {
      taken.push([irq.vector, irq.requestId]);
      apic.end();
    }
    expect(taken).toEqual([0xd0, 0x80, 0x45, 0x31].map((vector) => [vector, vector * 2]));
  });

  it('keeps one request for each vector, and one more while that one is served', () => {
    const apic = new LocalApic();
    for (let i = 1; i <= 3; i++) apic.message(0x50, i);
    expect(apic.take()).toEqual({ vector: 0x50, gsi: undefined, requestId: 1 });
    apic.message(0x50, 4);
    apic.message(0x50, 5);
    expect([set(apic.irr), set(apic.isr)]).toEqual([[0x50], [0x50]]);
    expect(apic.take()).toBeUndefined();
    apic.end();
    expect(apic.take()?.requestId).toBe(4);
    apic.end();
    expect(apic.anyPending).toBe(false);
    expect(apic.counts[0x50]).toBe(5);
  });
});

describe('section 11.8.3: priorities', () => {
  it('only a higher class of 16 vectors interrupts what is served', () => {
    const apic = new LocalApic();
    apic.message(0x52, 1);
    expect(apic.take()?.vector).toBe(0x52);
    // The same class, and a higher vector in it: no.
    apic.message(0x5f, 2);
    apic.message(0x41, 3);
    expect(apic.anyPending).toBe(false);
    apic.message(0x60, 4);
    expect(apic.take()?.vector).toBe(0x60);
    expect(set(apic.isr)).toEqual([0x52, 0x60]);
    // EOI ends the highest that is served; what waits below it goes on waiting for the rest.
    apic.end();
    expect(set(apic.isr)).toEqual([0x52]);
    expect(apic.anyPending).toBe(false);
    apic.end();
    expect(apic.take()?.vector).toBe(0x5f);
  });

  it('an EOI when nothing is served does nothing (section 11.8.5)', () => {
    const apic = new LocalApic();
    const ended: number[] = [];
    apic.onEnd = (vector) => ended.push(vector);
    apic.end();
    apic.message(0x31 | MESSAGE.level, 1);
    apic.end();
    expect(set(apic.irr)).toEqual([0x31]);
    expect(ended).toEqual([]);
  });
});

describe('section 11.8.5: the end of a level', () => {
  it('is told to the I/O APIC, that of an edge is not', () => {
    const apic = new LocalApic();
    const ended: number[] = [];
    apic.onEnd = (vector) => ended.push(vector);
    apic.message(0xe4 | MESSAGE.level, 1, 20);
    expect(apic.take()).toEqual({ vector: 0xe4, gsi: 20, requestId: 1 });
    expect(ended).toEqual([]);
    apic.end();
    apic.message(0xde, 2, 14);
    expect(apic.take()?.gsi).toBe(14);
    apic.end();
    expect(ended).toEqual([0xe4]);
  });

  it('TMR follows the last message of the vector', () => {
    const apic = new LocalApic();
    apic.message(0x70 | MESSAGE.level, 1);
    expect(set(apic.tmr)).toEqual([0x70]);
    apic.message(0x70, 1);
    expect(set(apic.tmr)).toEqual([]);
  });
});

it('section 11.11.2: only fixed and lowest-priority messages have a vector', () => {
  const apic = new LocalApic();
  let heard = 0;
  apic.onPending = () => heard++;
  for (let mode = 0; mode < 8; mode++) apic.message(0x40 + mode + mode * 0x100, 1);
  expect(set(apic.irr)).toEqual([0x40, 0x41]);
  expect(heard).toBe(2);
});

it('any messages, takes and ends: nothing is lost, nothing is taken twice, and the order is that of the classes', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('message'), vector: fc.integer({ min: 16, max: 255 }) }),
    fc.record({ kind: fc.constantFrom('take', 'end'), vector: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const apic = new LocalApic();
      const requested = new Set<number>();
      const served: number[] = [];
      for (const { kind, vector } of steps) {
        if (kind === 'message') {
          apic.message(vector, 1);
          requested.add(vector);
        } else if (kind === 'end') {
          apic.end();
          served.sort((a, b) => a - b).pop();
        } else {
          const highest = Math.max(-1, ...requested);
          const running = Math.max(-1, ...served);
          const takes = highest >= 0 && (running < 0 || Math.floor(highest / 16) > Math.floor(running / 16));
          expect(apic.anyPending).toBe(takes);
          expect(apic.take()?.vector).toBe(takes ? highest : undefined);
          if (!takes) continue;
          requested.delete(highest);
          served.push(highest);
        }
      }
      expect(set(apic.irr)).toEqual([...requested].toSorted((a, b) => a - b));
      expect(set(apic.isr)).toEqual(served.toSorted((a, b) => a - b));
    }),
    { numRuns: 200 },
  );
});
