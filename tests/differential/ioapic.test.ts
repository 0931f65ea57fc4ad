/** The I/O APIC beside QEMU's: the same lines and register accesses, the same registers after each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import {
  IoApic,
  IOAPIC,
  IOAPIC_BASE,
  IOAPIC_PINS,
  IOAPIC_REGISTER,
  REDIRECTION,
} from '#engine/machine/ioapic.ts';
import { QTest } from './qtest.ts';

interface Side {
  line(pin: number, up: boolean): Promise<void>;
  read(offset: number, size: 1 | 4): Promise<number>;
  write(offset: number, size: 1 | 4, value: number): Promise<void>;
}

let folder: string;
let qtest: QTest;
let sides: Side[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-ioapic-'));
  qtest = await QTest.start(join(folder, 'q.sock'), []);
  const ours = new IoApic(() => undefined);
  const letter = { 1: 'b', 4: 'l' } as const;
  sides = [
    {
      line: async (pin, up) => ours.set(pin, up),
      read: async (offset, size) => ours.read(offset, size),
      write: async (offset, size, value) => ours.write(offset, size, value),
    },
    {
      line: async (pin, up) =>
        void (await qtest.ask(`set_irq_in ioapic unnamed-gpio-in ${pin} ${up ? 1 : 0}`)),
      read: async (offset, size) => Number(await qtest.ask(`read${letter[size]} ${IOAPIC_BASE + offset}`)),
      write: async (offset, size, value) =>
        void (await qtest.ask(`write${letter[size]} ${IOAPIC_BASE + offset} ${value}`)),
    },
  ];
});

afterEach(async () => {
  await qtest.close();
  await rm(folder, { recursive: true, force: true });
});

async function register(side: Side, number: number): Promise<number> {
  await side.write(IOAPIC.select, 4, number);
  return side.read(IOAPIC.window, 4);
}
async function setRegister(side: Side, number: number, value: number): Promise<void> {
  await side.write(IOAPIC.select, 4, number);
  await side.write(IOAPIC.window, 4, value);
}

async function same(script: (side: Side) => Promise<number[]>): Promise<void> {
  const [ours, qemu] = [await script(sides[0]), await script(sides[1])];
  expect(qemu.length).toBeGreaterThan(0);
  expect(ours).toEqual(qemu);
}

async function all(side: Side): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < IOAPIC_REGISTER.table + IOAPIC_PINS * 2 + 2; n++) found.push(await register(side, n));
  return found;
}

it('has the same registers after power-on, and lets the same bits of them be written', async () => {
  await same(all);
  await same(async (side) => {
    for (let n = 0; n < IOAPIC_REGISTER.table + IOAPIC_PINS * 2; n++) await setRegister(side, n, 0xffff_ffff);
    return [...(await all(side)), await side.read(IOAPIC.window, 1), await side.read(IOAPIC.eoi, 4)];
  });
});

it.each([1, 2, 3])('does the same with lines, entries and ends of interrupts, seed %i', async (seed) => {
  await same(async (side) => {
    const random = new Random(seed);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    const seen: number[] = [];
    for (let step = 0; step < 150; step++) {
      const pin = below(IOAPIC_PINS);
      const vector = 0x30 + below(4);
      const kind = below(4);
      if (kind === 0) await side.line(pin, below(2) === 1);
      else if (kind === 1) await side.write(IOAPIC.eoi, 4, vector);
      else {
        const entry =
          vector |
          (below(2) === 1 ? REDIRECTION.level : 0) |
          (below(3) === 0 ? REDIRECTION.masked : 0) |
          (below(4) === 0 ? REDIRECTION.remoteIrr | REDIRECTION.delivering : 0);
        await setRegister(side, IOAPIC_REGISTER.table + pin * 2, entry);
      }
      seen.push(await register(side, IOAPIC_REGISTER.table + pin * 2));
    }
    return [...seen, ...(await all(side))];
  });
});
