/**
 * Messages on their way to the local APICs, beside QEMU's: which CPUs they reach, which bits they set. QEMU's registers can only be reached
 * by a CPU that runs (`apic_mem_read` asks which one it is), and under qtest none does; its monitor tells IRR, TMR and ISR all the same.
 * What a CPU does with them, priorities and EOI, is tested in engine/machine/local-apic.test.ts after Intel's manual.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { LocalApics } from '#engine/guest/apics.ts';
import { Random } from '#engine/guest/workload.ts';
import { LAPIC_BASE } from '#engine/machine/local-apic.ts';
import { Qmp } from './qmp.ts';
import { QTest } from './qtest.ts';

const CPUS = 3;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

async function machines() {
  const folder = await mkdtemp(join(tmpdir(), 'platter-lapic-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const socket = join(folder, 'qmp.sock');
  const options = ['-smp', String(CPUS), '-qmp', `unix:${socket},server=on,wait=off`];
  const qtest = await QTest.start(join(folder, 'q.sock'), options);
  cleanups.push(() => qtest.close());
  const qmp = await Qmp.connect(socket);
  cleanups.push(() => qmp.close());
  return { qtest, qmp };
}

/** One CPU's IRR and ISR in the monitor's words: vectors, a level's marked. */
async function qemuState(qmp: Qmp, cpu: number): Promise<string[]> {
  const text = String(await qmp.ask('human-monitor-command', { 'command-line': `info lapic ${cpu}` }));
  return ['IRR', 'ISR'].map((name) => new RegExp(`^${name}\\s+(.*?)\\s*$`, 'm').exec(text)?.[1] ?? '?');
}

function ourState(apics: LocalApics, cpu: number): string[] {
  const { irr, isr, tmr } = apics.controllers[cpu];
  const list = (bits: Uint8Array): string => {
    const vectors = [...bits.keys()].filter((vector) => bits[vector] === 1);
    return vectors.length === 0
      ? '(none)'
      : vectors.map((vector) => `${vector}${tmr[vector] === 1 ? '(level)' : ''}`).join(' ');
  };
  return [list(irr), list(isr)];
}

it.each([1, 2, 3])('messages to anybody, of every mode, seed %i', async (seed) => {
  const { qtest, qmp } = await machines();
  const ours = new LocalApics(CPUS);
  const random = new Random(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const destinations = [0, 1, 2, 3, 7, 0xff];
  for (let i = 0; i < 60; i++) {
    const destination = destinations[below(destinations.length)];
    // Logical destinations reach nobody: after power-on no CPU has a logical number. Bit 3, the hint, changes nothing for one CPU.
    const logical = below(5) === 0 ? 4 : 0;
    const mode = below(3) === 0 ? [1, 2, 4][below(3)] * 0x100 : 0;
    const level = below(3) === 0 ? 0xc000 : 0;
    const address = LAPIC_BASE + destination * 0x1000 + logical;
    const data = (below(240) + 16) | mode | level;
    ours.message(address, data, 1);
    await qtest.ask(`writel 0x${address.toString(16)} 0x${data.toString(16)}`);
  }
  for (let cpu = 0; cpu < CPUS; cpu++) {
    const qemu = await qemuState(qmp, cpu);
    expect(qemu[0]).toMatch(/^\d/);
    expect(ourState(ours, cpu), `CPU ${cpu}`).toEqual(qemu);
  }
});
