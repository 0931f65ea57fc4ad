import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../block/node.ts';
import { fillPattern } from '../guest/workload.ts';
import { findEvents, requestHistory } from '../trace/query.ts';
import { E, EVENTS } from '../trace/registry.ts';
import { decodeRow, ROW_WORDS } from '../trace/row.ts';
import { STEPS_PER_SLICE } from './lab.ts';
import { frameOf, lab, later, LINE, memoryNode, MIB, WORKLOAD } from './testing/memory-lab.ts';

describe('the laboratory', () => {
  it('runs a workload from the program to the block node and back', async () => {
    const node = await memoryNode();
    const it = lab(node);
    expect(it.device).toBe('virtio-blk-pci disk1');
    it.run();
    await it.done();
    expect(it.error).toBeUndefined();
    const frame = frameOf(it);
    expect(frame.status).toBe('finished');
    expect(frame.counters).toMatchObject({ requests: 500, writes: 500, errors: 0, bytes: 500 * 4096 });
    expect(frame.counters.exits).toBeGreaterThan(0);
    expect(frame.counters.interrupts).toBe(frame.vectors[1].count);
    expect(frame.modelNs).toBeGreaterThan(0);
    const times = frame.rows.length / ROW_WORDS;
    const last = Math.max(...Array.from({ length: times }, (_, i) => decodeRow(frame.rows, i).modelNs));
    expect(last).toBeLessThanOrEqual(frame.modelNs);
    expect(last).toBeGreaterThan(frame.modelNs * 0.9);
    for (let station = 0; station < 14; station++) expect(frame.stationEvents[station]).toBeGreaterThan(0);
    expect(frame.stationOccupancy.every((count) => count === 0)).toBe(true);
  });

  it('puts into the node exactly what the program wrote', async () => {
    const node = await memoryNode();
    const it = lab(node, { rw: 'write', numberIos: 64, bs: 8192 });
    it.run();
    await it.done();
    const found = new Uint8Array(64 * 8192);
    await node.read(0, found);
    const wanted = new Uint8Array(found.length);
    fillPattern(new DataView(wanted.buffer), 0, WORKLOAD.seed);
    expect(Buffer.compare(found, wanted)).toBe(0);
  });

  it('takes every request through all fourteen stations in order, with one id', async () => {
    const it = lab(await memoryNode(), { rw: 'randrw', numberIos: 20, fsync: 5 });
    it.run();
    await it.done();
    for (let id = 1; id <= 20; id++) {
      const stations = requestHistory(it.trace, id).map((n) => EVENTS[it.trace.eventAt(n)]?.station ?? 0);
      const own = stations.filter((station, i) => i === 0 || station !== stations[i - 1]);
      expect(own[0]).toBe(1);
      expect(own.at(-1)).toBe(14);
      for (const station of [2, 3, 5, 6, 7, 8, 9, 10, 13]) expect(own, `request ${id}`).toContain(station);
    }
    const all = requestHistory(it.trace, 1).map((n) => EVENTS[it.trace.eventAt(n)]?.station);
    expect([...new Set(all)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  });

  it.each([
    ['with MSI-X and ioeventfd', ''],
    ['with INTx and without ioeventfd', ',vectors=0,ioeventfd=off'],
  ])(
    'stops between any two events, and stepping gives the very trace that running gives, %s',
    async (_, more) => {
      const workload = { numberIos: 12, iodepth: 4, rw: 'randrw' as const, iodepthBatch: 2 };
      const running = lab(await memoryNode(), workload, LINE + more);
      running.run();
      await running.done();
      const stepping = lab(await memoryNode(), workload, LINE + more);
      let events = stepping.trace.total;
      for (let ended = false; !ended; events = stepping.trace.total) {
        await stepping.step('event');
        ended = frameOf(stepping).status === 'finished';
        expect(stepping.trace.total - events).toBe(1);
      }
      const rows = (it: typeof running) =>
        Array.from({ length: it.trace.total }, (_, n) => {
          const { realNs: _real, ...row } = decodeRow(it.trace.copy([n]), 0);
          return row;
        });
      expect(rows(stepping)).toEqual(rows(running));
    },
  );

  it('steps over one request', async () => {
    const it = lab(await memoryNode(), { numberIos: 3, iodepth: 1 });
    await it.step('request');
    expect(frameOf(it).counters.requests).toBe(1);
    expect(it.state).toBe('paused');
    await it.step('request');
    await it.step('request');
    expect(it.state).toBe('finished');
  });

  it('shows the ring while requests are in flight', async () => {
    const it = lab(await memoryNode(), { numberIos: 8, iodepth: 8 });
    const popped = (): boolean => it.trace.eventAt(it.trace.total - 1) === E.virtqueue_pop;
    do await it.step('event');
    while (!popped());
    const { queue } = frameOf(it);
    expect(queue).not.toBeNull();
    if (queue === null) return;
    expect(queue.size).toBe(256);
    expect(queue.ready).toBe(true);
    expect(queue.inFlight).toBe(1);
    expect(queue.lastAvailIdx).toBe(1);
    expect(queue.requestOf[queue.avail.ring[0]]).toBe(1);
    expect(queue.msixVector).toBe(1);
  });

  it('runs on block nodes that answer later', async () => {
    const it = lab(later(await memoryNode()), { numberIos: 100 });
    it.run();
    await it.done();
    expect(frameOf(it)).toMatchObject({ status: 'finished', counters: { requests: 100, errors: 0 } });
    await it.reset();
    await it.step('request');
    expect(frameOf(it).counters.requests).toBe(1);
  });

  it('lets the program see an error of the node, and goes on', async () => {
    const node = await memoryNode();
    const failing: BlockNode = {
      ...later(node),
      read: (offset) => Promise.reject(new Error(`no reading at ${offset}`)),
    };
    const it = lab(failing, { rw: 'read', numberIos: 4 });
    it.run();
    await it.done();
    expect(frameOf(it).counters).toMatchObject({ requests: 4, errors: 4, bytes: 0 });
  });

  it('takes all chains of a doorbell before it looks at completions, and interrupts once for several', async () => {
    const deep = lab(await memoryNode(), { rw: 'randread', iodepth: 16, iodepthBatch: 16, numberIos: 480 });
    deep.run();
    await deep.done();
    const { trace } = deep;
    const between = new Set<number>([E.thread_pool_complete, E.virtqueue_fill]);
    const first = findEvents(trace, 0, 1, { events: new Set([E.virtio_queue_notify]) })[0];
    const sixteenth = findEvents(trace, first, 16, { events: new Set([E.virtqueue_pop]) })[15];
    const found = findEvents(trace, first, 1, { events: between })[0];
    expect(found).toBeGreaterThan(sixteenth);
    const { interrupts, requests } = frameOf(deep).counters;
    expect(interrupts).toBeLessThan(requests * 0.8);
    const alone = lab(await memoryNode(), { rw: 'randread', iodepth: 1, numberIos: 100 });
    alone.run();
    await alone.done();
    expect(frameOf(alone).counters.interrupts).toBe(100);
  });

  it('merges neighbours of one batch, and splits what is too large', async () => {
    const merged = lab(await memoryNode(), { rw: 'write', numberIos: 64, iodepthBatch: 8 });
    merged.run();
    await merged.done();
    expect(merged.trace.counts[E.block_bio_backmerge]).toBe(56);
    expect(merged.trace.counts[E.virtqueue_pop]).toBe(8);
    expect(frameOf(merged).counters).toMatchObject({ requests: 64, bytes: 64 * 4096 });
    const split = lab(await memoryNode(), { rw: 'read', bs: 4 * MIB, iodepth: 1, numberIos: 2 });
    split.run();
    await split.done();
    expect(split.trace.counts[E.virtqueue_pop]).toBe(8);
    expect(frameOf(split).counters).toMatchObject({ requests: 2, bytes: 8 * MIB, errors: 0 });
  });

  it.each([
    ['without ioeventfd', ',ioeventfd=off', E.virtio_pci_notify_write],
    ['without MSI-X', ',vectors=0', E.pci_set_irq],
    ['in an IOThread', ',iothread=io1', E.virtio_notify_irqfd],
    ['without irqfds', ',ioeventfd=off', E.virtio_notify],
    ['without EVENT_IDX', ',event_idx=off', E.virtio_notify_irqfd],
    ['without indirect descriptors', ',indirect_desc=off', E.virtqueue_add],
    ['with a small queue', ',queue-size=4', E.block_rq_requeue],
    ['with four queues', ',num-queues=4', E.virtio_notify_irqfd],
    ['with packed rings', ',packed=on', E.virtqueue_add],
    ['with small packed rings', ',packed=on,queue-size=8,indirect_desc=off', E.block_rq_requeue],
  ])('runs %s', async (_, options, event) => {
    const it = lab(await memoryNode(), { rw: 'randrw', numberIos: 200, iodepth: 16 }, `${LINE}${options}`);
    it.run();
    await it.done();
    expect(it.error).toBeUndefined();
    expect(frameOf(it).counters).toMatchObject({ requests: 200, errors: 0 });
    expect(it.trace.counts[event]).toBeGreaterThan(0);
  });

  it('gives each virtual CPU its queue, and each queue its vector on that CPU', async () => {
    const it = lab(await memoryNode(), { numberIos: 100, numjobs: 4, iodepth: 2 }, `${LINE} -smp 4`);
    it.run();
    await it.done();
    const frame = frameOf(it);
    expect(frame.counters).toMatchObject({ requests: 400, writes: 400, errors: 0 });
    expect(frame.queueCount).toBe(4);
    expect(frame.vectors.slice(1).map(({ address }) => address)).toEqual([
      0xfee0_0000, 0xfee0_1000, 0xfee0_2000, 0xfee0_3000,
    ]);
    for (const { count } of frame.vectors.slice(1)) expect(count).toBeGreaterThan(0);
    const queues = new Map<number, number>();
    for (let n = it.trace.first; n < it.trace.total; n++) {
      if (it.trace.eventAt(n) !== E.virtqueue_pop) continue;
      const [queue] = decodeRow(it.trace.copy([n]), 0).args;
      queues.set(queue, (queues.get(queue) ?? 0) + 1);
    }
    expect(queues).toEqual(new Map([0, 1, 2, 3].map((queue) => [queue, 100])));
  });

  it('lets neighbours share a queue when there are fewer than CPUs, also when it is full', async () => {
    const more = ',num-queues=2,queue-size=4,indirect_desc=off -smp 4';
    const it = lab(await memoryNode(), { numberIos: 100, numjobs: 4, iodepth: 8 }, LINE + more);
    it.run();
    await it.done();
    const frame = frameOf(it);
    expect(frame.error).toBeUndefined();
    expect(frame.counters).toMatchObject({ requests: 400, errors: 0 });
    expect(frame.vectors.map(({ address }) => address)).toEqual([0xfee0_0000, 0xfee0_0000, 0xfee0_2000]);
    expect(it.trace.counts[E.block_rq_requeue]).toBeGreaterThan(0);
  });

  it('one program keeps to the queue of its CPU', async () => {
    const it = lab(await memoryNode(), { numberIos: 50 }, `${LINE} -smp 4`);
    it.run();
    await it.done();
    expect(frameOf(it).vectors.map(({ count }) => count > 0)).toEqual([false, true, false, false, false]);
  });

  it('gives the event loop its turn after a bounded number of steps, whatever the clock says', async () => {
    const turns: (() => void)[] = [];
    const slices: number[] = [];
    const schedule = (callback: () => void): void => void turns.push(callback);
    const it = lab(await memoryNode(), { numberIos: 2000 }, LINE, { clock: () => 0, schedule });
    it.run();
    for (let before = it.trace.total; turns.length > 0; before = it.trace.total) {
      turns.shift()?.();
      slices.push(it.trace.total - before);
    }
    expect(frameOf(it).counters.requests).toBe(2000);
    expect(slices.length).toBeGreaterThan(5);
    expect(Math.max(...slices)).toBeLessThanOrEqual(STEPS_PER_SLICE + 64);
  });

  it('pays more exits without ioeventfd, and the model clock shows it', async () => {
    const run = async (options: string) => {
      const it = lab(await memoryNode(), { iodepth: 1, numberIos: 100 }, LINE + options);
      it.run();
      await it.done();
      return frameOf(it);
    };
    const light = await run('');
    const heavy = await run(',ioeventfd=off,vectors=0');
    expect(heavy.counters.exits).toBeGreaterThan(light.counters.exits);
    expect(heavy.modelNs).toBeGreaterThan(light.modelNs);
  });

  it('answers pause and frames while it runs at full speed', async () => {
    const it = lab(await memoryNode(), { numberIos: 0 });
    it.run();
    await new Promise((resolve) => setTimeout(resolve, 20));
    it.pause();
    const first = frameOf(it);
    expect(first.status).toBe('paused');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(frameOf(it).totalEvents).toBe(first.totalEvents);
    it.run();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(frameOf(it).totalEvents).toBeGreaterThan(first.totalEvents);
    await it.close();
    expect(it.state).toBe('paused');
  });

  it('keeps the pace that was asked for', async () => {
    let now = 0;
    const it = lab(await memoryNode(), { numberIos: 0 }, LINE, { clock: () => now });
    const before = it.trace.total;
    it.speed(100);
    it.run();
    now += 500e6;
    await new Promise((resolve) => setTimeout(resolve, 60));
    it.pause();
    expect(it.trace.total - before).toBe(50);
    await it.close();
  });
});

describe('what the laboratory cannot run is named', () => {
  const node = memoryNode();
  it.each([
    ['lab.no-device', '-m 1G', undefined],
    ['lab.not-drivable', '-device nvme,drive=d0,id=x -drive id=d0,if=none,file=a', undefined],
    ['lab.unknown-device', LINE, 'other'],
    ['lab.no-drive', '-device virtio-blk-pci,id=x', undefined],
    ['lab.unknown-drive', '-device virtio-blk-pci,drive=dx -drive id=d0,if=none,file=a', undefined],
    ['lab.unbound-drive', '-device virtio-blk-pci,drive=d1 -drive id=d1,if=none,file=a', undefined],
    ['lab.bad-value', `${LINE},queue-size=100`, undefined],
    ['lab.bad-value', `${LINE},num-queues=x`, undefined],
  ])('%s: %s', async (code, line, deviceId) => {
    const ready = await node;
    expect(() => lab(ready, {}, line, { deviceId })).toThrowError(expect.objectContaining({ code }));
  });

  it('names nvme', async () => {
    const ready = await node;
    expect(() => lab(ready, {}, '-device nvme,drive=d0 -drive id=d0,if=none,file=a')).toThrow(
      /the lab cannot run nvme yet/,
    );
  });
});
