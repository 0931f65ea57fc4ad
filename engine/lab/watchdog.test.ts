/** A machine that gets nowhere ends with an error: one that stands still at once, one that is busy after a while. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import { LocalApics } from '../guest/apics.ts';
import type { GuestCpu } from '../guest/cpu.ts';
import { HostIo } from '../machine/host-io.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { E } from '../trace/registry.ts';
import { TraceRing } from '../trace/ring.ts';
import { arrayNode } from '../virtio/testing/rig.ts';
import { createLab } from './lab.ts';
import { Scheduler } from './scheduler.ts';
import { Watchdog } from './watchdog.ts';

const WORKLOAD: Workload = {
  rw: 'read',
  bs: 4096,
  iodepth: 1,
  numberIos: 4,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 1,
  fsync: 0,
};

afterEach(() => void vi.restoreAllMocks());

describe('a guest whose interrupt never comes', () => {
  it.each([
    ['IDE', '-device ide-hd,drive=d0,id=disk', 'gsi'],
    ['a PIIX4 on a q35', '-M q35 -device piix4-ide,id=p -device ide-hd,drive=d0,id=disk,bus=p.0', 'gsi'],
    ['AHCI', '-M q35 -device ide-hd,drive=d0,id=disk', 'message'],
    ['virtio-blk', '-device virtio-blk-pci,drive=d0,id=disk', 'message'],
  ] as const)('%s: running and stepping end with what waits for whom', async (_, devices, way) => {
    vi.spyOn(LocalApics.prototype, way).mockImplementation(() => undefined);
    const line = parseCommandLine(`-drive file=a.img,if=none,id=d0,format=raw ${devices}`);
    const node = arrayNode(1024 * 1024);
    const create = () => createLab({ line, drives: () => node, workload: WORKLOAD });
    const lab = create();
    lab.run();
    await lab.done();
    expect(lab.state).toBe('failed');
    expect(lab.error).toMatchObject({ code: 'lab.stuck', context: { field: '1' } });
    expect(lab.error?.context?.['value']).toMatch(/ disk$/);
    const stepping = create();
    await stepping.step('request');
    expect(stepping.error).toEqual(lab.error);
  });
});

describe('a machine that is busy and gets nowhere', () => {
  const MANY = 1000;
  const build = (cpu: (trace: TraceRing) => boolean): Scheduler => {
    const trace = new TraceRing();
    const scheduler = new Scheduler(trace, 0, new Watchdog(trace, MANY));
    scheduler.addThread({ host: new HostIo(trace), step: () => false });
    scheduler.attach([{ step: () => cpu(trace), inUserspace: false } as unknown as GuestCpu]);
    return scheduler;
  };

  it('is ended when no request ends for many steps', () => {
    const scheduler = build((trace) => {
      trace.emit(E.irq_handler_entry, 0, 14, 0, 0, 0);
      return true;
    });
    const run = (): void => {
      for (let step = 0; step <= 3 * MANY; step++) scheduler.step();
    };
    expect(run).toThrow(expect.objectContaining({ code: 'lab.no-progress' }));
  });

  it('goes on as long as requests end now and then, also when it does nothing that is seen', () => {
    let steps = 0;
    const scheduler = build((trace) => {
      if (++steps % (MANY - 1) === 0) trace.emit(E.block_rq_complete, 1, 0, 0, 0, 0);
      return true;
    });
    for (let step = 0; step < 20 * MANY; step++) scheduler.step();
    expect(steps).toBe(20 * MANY);
  });
});
