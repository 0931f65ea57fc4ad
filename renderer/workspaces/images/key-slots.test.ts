import { expect, it } from 'vitest';
import { isSlotFact, keySlots } from './key-slots.ts';

const slots = (formatSpecific: Record<string, string | number | boolean>) =>
  keySlots({ formatSpecific } as never);

it('finds the slots of LUKS, of LUKS inside of qcow2 and of LUKS2, in their order', () => {
  const one = {
    'slots.1.active': false,
    'slots.0.active': true,
    'slots.0.iters': 9,
    'slots.0.key-offset': 4096,
  };
  const expected = [
    { slot: 0, active: true, iterations: 9 },
    { slot: 1, active: false },
  ];
  expect(slots({ uuid: 'x', ...one })).toEqual(expected);
  const inside = Object.fromEntries(Object.entries(one).map(([name, value]) => [`encrypt.${name}`, value]));
  expect(slots({ 'encrypt.format': 'luks', ...inside })).toEqual(expected);
  expect(slots({ version: 2, 'slots.3.kdf': 'argon2id', 'slots.3.stripes': 4000 })).toEqual([
    { slot: 3, active: true, derivation: 'argon2id' },
  ]);
  expect([isSlotFact('encrypt.slots.0.iters'), isSlotFact('encrypt.uuid')]).toEqual([true, false]);
});
