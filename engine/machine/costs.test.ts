import { describe, expect, it } from 'vitest';
import english from '#resources/messages/en/trace.json' with { type: 'json' };
import { E, EVENT_LIMIT } from '../trace/registry.ts';
import { applyCosts, COSTS, costTable } from './costs.ts';

describe('the table of costs', () => {
  it('charges no event twice and has a name and a source for every figure', () => {
    const charged = Object.values(COSTS).flatMap(({ events }) => [...events]);
    expect(new Set(charged).size).toBe(charged.length);
    const named = Object.keys(english).filter((key) => key.startsWith('cost.'));
    expect(named.sort()).toEqual(
      Object.keys(COSTS)
        .map((key) => `cost.${key}`)
        .sort(),
    );
    for (const { source } of Object.values(COSTS)) expect(source).not.toBe('');
  });

  it('can be edited', () => {
    const costs = new Float64Array(EVENT_LIMIT);
    applyCosts(costTable({ 'kvm.exit': 123, 'kvm.inject': -5 }), costs);
    expect(costs[E.kvm_exit]).toBe(123);
    expect(costs[E.kvm_inj_virq]).toBe(0);
    expect(costs[E.ioeventfd_signal]).toBe(COSTS['kvm.ioeventfd'].ns);
  });
});
