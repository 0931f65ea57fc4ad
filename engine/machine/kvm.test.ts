import { expect, it } from 'vitest';
import { TraceRing } from '../trace/ring.ts';
import { pcRouting } from './interrupts.ts';
import { Kvm } from './kvm.ts';

it('routes an interrupt when the thread that raised it goes on, whoever else runs meanwhile', () => {
  const heard: string[] = [];
  const kvm = new Kvm(
    new TraceRing(),
    {
      message: (_, data) => void heard.push(`message ${data}`),
      gsi: (gsi, level) => void heard.push(`line ${gsi} ${level ? 'up' : 'down'}`),
    },
    pcRouting,
  );
  kvm.thread = 1;
  kvm.message(0xfee0_0000, 0x31, 1);
  kvm.thread = 0;
  expect(kvm.step()).toBe(false);
  kvm.line(4, 0, true, 2);
  kvm.isa(14, true, 3);
  expect(heard).toEqual([]);
  while (kvm.step());
  kvm.thread = 1;
  while (kvm.step());
  expect(heard).toEqual(['line 11 up', 'line 14 up', 'message 49']);
  // A line that nobody holds up any more is not raised; going down needs no routing.
  kvm.line(5, 0, true, 4);
  kvm.line(5, 0, false, 4);
  expect(kvm.step()).toBe(false);
  expect(heard.at(-1)).toMatch(/down$/);
});
