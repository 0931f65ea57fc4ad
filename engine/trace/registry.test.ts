import { describe, expect, it } from 'vitest';
import english from '#resources/messages/en/trace.json' with { type: 'json' };
import chinese from '#resources/messages/zh-CN/trace.json' with { type: 'json' };
import { argWords, E, EVENT_LIMIT, eventByName, EVENTS } from './registry.ts';
import { STATIONS } from './stations.ts';

const all = EVENTS.filter((entry) => entry !== undefined);

describe('the registry of events', () => {
  it('numbers every event once, below its limit, and finds it by name', () => {
    expect(EVENTS).toHaveLength(EVENT_LIMIT);
    expect(new Set(Object.values(E)).size).toBe(all.length);
    for (const [name, id] of Object.entries(E)) expect(eventByName(name)?.id).toBe(id);
  });

  it('has an event at every one of the fourteen stations', () => {
    expect(STATIONS.map(({ index }) => index)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    for (const { index } of STATIONS) expect(all.some(({ station }) => station === index)).toBe(true);
  });

  it('fits every event into the four argument words of a row', () => {
    for (const { name, args } of all) {
      const words = args.reduce((sum, { format }) => sum + argWords(format), 0);
      expect(words, name).toBeLessThanOrEqual(4);
    }
  });

  it.each([
    ['en', english as Record<string, string>],
    ['zh-CN', chinese as Record<string, string>],
  ])('has a sentence for every event, argument and station in %s', (_, texts) => {
    const wanted = [
      ...all.map(({ name }) => `event.${name}`),
      ...all.flatMap(({ args }) => args.map(({ name }) => `arg.${name}`)),
      ...STATIONS.flatMap(({ index }) => [`station.${index}.title`, `station.${index}.help`]),
      ...STATIONS.map(({ world }) => `world.${world}`),
    ];
    const found = Object.keys(texts).filter((key) => !key.startsWith('cost.'));
    expect(found.sort()).toEqual([...new Set(wanted)].sort());
  });
});
