/** The two 8259A beside QEMU's: the same lines and port accesses, the same answers. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { AddressSpace } from '#engine/machine/address-space.ts';
import { Pic, PIC_PORT } from '#engine/machine/pic.ts';
import { QTest } from './qtest.ts';

interface Side {
  line(line: number, up: boolean): Promise<void>;
  in(port: number): Promise<number>;
  out(port: number, value: number): Promise<void>;
}

let folder: string;
let qtest: QTest;
let sides: Side[];

/** QOM paths of QEMU's chips, the first one first: they have no names of their own. */
function chips(): string[] {
  const options = ['-machine', 'q35', '-accel', 'tcg', '-S', '-nodefaults', '-display', 'none'];
  const run = spawnSync('qemu-system-x86_64', [...options, '-monitor', 'stdio'], {
    input: 'info qom-tree\nquit\n',
    encoding: 'utf8',
  });
  return [...run.stdout.matchAll(/\/(device\[\d+\]) \(isa-i8259\)/g)].map(
    ([, name]) => `/machine/unattached/${name}`,
  );
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-pic-'));
  qtest = await QTest.start(join(folder, 'q.sock'), []);
  const io = new AddressSpace();
  const ours = new Pic(() => undefined);
  ours.map(io);
  const paths = chips();
  expect(paths.length).toBe(2);
  sides = [
    {
      line: async (line, up) => ours.set(line, up),
      in: async (port) => io.read(port, 1),
      out: async (port, value) => io.write(port, 1, value),
    },
    {
      line: async (line, up) =>
        void (await qtest.ask(`set_irq_in ${paths[line >> 3]} unnamed-gpio-in ${line & 7} ${up ? 1 : 0}`)),
      in: async (port) => Number(await qtest.ask(`inb ${port}`)),
      out: async (port, value) => void (await qtest.ask(`outb ${port} ${value}`)),
    },
  ];
});

afterEach(async () => {
  await qtest.close();
  await rm(folder, { recursive: true, force: true });
});

const PORTS = [PIC_PORT.first, PIC_PORT.first + 1, PIC_PORT.second, PIC_PORT.second + 1];

async function all(side: Side): Promise<number[]> {
  const found: number[] = [];
  for (const port of [...PORTS, PIC_PORT.firstElcr, PIC_PORT.secondElcr]) found.push(await side.in(port));
  return found;
}

async function same(script: (side: Side) => Promise<number[]>): Promise<void> {
  const [ours, qemu] = [await script(sides[0]), await script(sides[1])];
  expect(qemu.length).toBeGreaterThan(0);
  expect(ours).toEqual(qemu);
}

/** What Linux and firmware write: vectors from 0x20 on, the second on line 2, 8086 mode. */
async function initialise(side: Side, autoEoi = false): Promise<void> {
  for (const [port, base, cascade] of [
    [PIC_PORT.first, 0x20, 4],
    [PIC_PORT.second, 0x28, 2],
  ]) {
    for (const [offset, value] of [
      [0, 0x11],
      [1, base],
      [1, cascade],
      [1, autoEoi ? 3 : 1],
    ]) {
      await side.out(port + offset, value);
    }
  }
}

it('requests, masks, polls and ends of interrupts on both chips', async () => {
  await same(async (side) => {
    const seen = await all(side);
    await initialise(side);
    await side.out(PIC_PORT.first + 1, 0xfa);
    await side.out(PIC_PORT.second + 1, 0x00);
    await side.line(14, true);
    seen.push(...(await all(side)));
    for (const port of [PIC_PORT.first, PIC_PORT.second]) await side.out(port, 0x0c);
    for (const port of [PIC_PORT.first, PIC_PORT.second]) seen.push(await side.in(port));
    for (const port of [PIC_PORT.first, PIC_PORT.second]) await side.out(port, 0x0b);
    seen.push(...(await all(side)));
    for (const port of [PIC_PORT.second, PIC_PORT.first]) await side.out(port, 0x20);
    await side.line(14, false);
    return [...seen, ...(await all(side))];
  });
});

it.each([1, 2, 3, 4])('does the same with any lines and words, seed %i', async (seed) => {
  await same(async (side) => {
    const random = new Random(seed);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    await initialise(side, seed % 2 === 0);
    const seen: number[] = [];
    for (let step = 0; step < 200; step++) {
      const kind = below(8);
      const port = PORTS[below(4)];
      const line = below(16);
      if (kind < 3) await side.line(line === 2 ? 3 : line, below(2) === 1);
      else if (kind < 5) await side.out(port, below(256));
      else if (kind < 6) await side.out(port & ~1, 0x08 | below(8));
      else if (kind < 7) await side.out(PIC_PORT.firstElcr + below(2), below(256));
      seen.push(await side.in(port));
    }
    return [...seen, ...(await all(side))];
  });
});

it('gives the CPU the vector of the line, through the cascade, and a spurious one when nothing is left', () => {
  const wire: boolean[] = [];
  const pic = new Pic((level) => wire.push(level));
  const io = new AddressSpace();
  pic.map(io);
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 4],
    [0x21, 1],
    [0xa0, 0x11],
    [0xa1, 0x28],
    [0xa1, 2],
    [0xa1, 1],
  ]) {
    io.write(port, 1, value);
  }
  pic.set(14, true);
  expect(wire.at(-1)).toBe(true);
  expect(pic.acknowledge()).toBe(0x2e);
  expect(wire.at(-1)).toBe(false);
  expect(pic.acknowledge()).toBe(0x27);
  expect(pic.edges[14]).toBe(1);
});
