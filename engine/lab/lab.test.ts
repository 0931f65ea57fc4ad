import { describe, expect, it } from 'vitest';
import type { Workload } from '#contract/settings.ts';
import type { LabFrame } from '#contract/lab.ts';
import type { BlockNode } from '../block/node.ts';
import { openImage } from '../block/graph.ts';
import { MemoryStorage } from '../block/storage/memory.ts';
import type { Maybe } from '../maybe.ts';
import { fillPattern } from '../guest/workload.ts';
import { parseCommandLine } from '../qemu/parse.ts';
import { findEvents, requestHistory } from '../trace/query.ts';
import { E, EVENTS } from '../trace/registry.ts';
import { decodeRow, ROW_WORDS } from '../trace/row.ts';
import { createLab, STEPS_PER_SLICE } from './lab.ts';
import type { LabOptions } from './types.ts';

const MIB = 1024 * 1024;
const LINE = '-drive file=a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0,id=disk1,addr=0x9';
const WORKLOAD: Workload = {
  rw: 'randwrite',
  bs: 4096,
  iodepth: 8,
  numberIos: 500,
  offset: 0,
  size: 0,
  rwmixread: 50,
  seed: 7,
  fsync: 0,
};

async function memoryNode(bytes = 16 * MIB): Promise<BlockNode> {
  const image = await openImage(new MemoryStorage(bytes), { format: 'raw', readOnly: false });
  return image.node;
}

/** The same node, answering a moment later each time. */
function later(node: BlockNode): BlockNode {
  const soon = (work: () => Maybe<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  return {
    driver: 'later',
    name: node.name,
    virtualSize: node.virtualSize,
    readOnly: node.readOnly,
    map: (offset, length) => node.map(offset, length),
    read: (offset, target) => soon(() => node.read(offset, target)),
    write: (offset, source) => soon(() => node.write(offset, source)),
    writeZeroes: (offset, length, unmap) => soon(() => node.writeZeroes(offset, length, unmap)),
    discard: (offset, length) => soon(() => node.discard(offset, length)),
    flush: () => soon(() => node.flush()),
    close: () => node.close(),
  };
}

function lab(node: BlockNode, workload: Partial<Workload> = {}, line = LINE, more: Partial<LabOptions> = {}) {
  return createLab({
    line: parseCommandLine(line),
    drives: (id) => (id === 'd0' ? node : undefined),
    workload: { ...WORKLOAD, ...workload },
    ...more,
  });
}

const frameOf = (it: ReturnType<typeof createLab>): LabFrame =>
  it.frame({ seq: 1, from: -1, count: 100, requestId: null, queue: 0 });

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

  describe("through the guest's page cache (direct=0)", () => {
    it('reads that hit need no disk', async () => {
      const it = lab(await memoryNode(), { rw: 'randread', numberIos: 400, size: 64 * 1024, direct: 0 });
      it.run();
      await it.done();
      expect(frameOf(it).counters).toMatchObject({ requests: 400, errors: 0, bytes: 400 * 4096 });
      expect(it.trace.counts[E.virtqueue_pop]).toBe(16);
      expect(it.trace.counts[E.mm_filemap_get_pages]).toBe(400);
    });

    it.each([
      ['write', 4096, '', 1],
      ['randrw', 4096, '', 1],
      ['randwrite', 1536, '', 1],
      ['write', 8192, ',num-queues=2 -smp 2', 2],
    ] as const)('%s of %i bytes%s: everything is on the disk at the end', async (rw, bs, more, numjobs) => {
      const node = await memoryNode(64 * MIB);
      const size = 20 * MIB;
      const it = lab(
        later(node),
        { rw, bs, numberIos: 4500, size, direct: 0, iodepthBatch: 4, numjobs },
        LINE + more,
      );
      it.run();
      await it.done();
      expect(it.error).toBeUndefined();
      expect(frameOf(it).counters).toMatchObject({ requests: 4500 * numjobs, errors: 0 });
      const found = new Uint8Array(size);
      await node.read(0, found);
      const wanted = new Uint8Array(size);
      fillPattern(new DataView(wanted.buffer), 0, WORKLOAD.seed);
      let written = 0;
      for (let at = 0; at < size; at += 512) {
        const sector = found.subarray(at, at + 512);
        if (sector.every((byte) => byte === 0)) continue;
        written++;
        if (Buffer.compare(sector, wanted.subarray(at, at + 512)) !== 0)
          expect.fail(`sector ${at / 512} is wrong`);
      }
      expect(written).toBeGreaterThan(2000);
    });

    it('an fsync waits until what was written before is on the disk', async () => {
      const it = lab(await memoryNode(), { rw: 'write', numberIos: 20, iodepth: 1, fsync: 10, direct: 0 });
      await it.step('event');
      while (it.trace.counts[E.blk_co_flush] === 0) await it.step('event');
      expect(it.trace.counts[E.folio_end_writeback]).toBe(1);
      const [pages] = findEvents(it.trace, 0, 1, { events: new Set([E.folio_end_writeback]) });
      expect(decodeRow(it.trace.copy([pages]), 0).args).toEqual([0, 10]);
    });

    it('tells the program of what could not be read, and an fsync of what could not be written', async () => {
      const node = await memoryNode();
      const failing: BlockNode = { ...later(node), read: () => Promise.reject(new Error('no')) };
      const reading = lab(failing, { rw: 'read', numberIos: 20, direct: 0 });
      reading.run();
      await reading.done();
      expect(frameOf(reading).counters).toMatchObject({ requests: 20, errors: 20 });
      const full: BlockNode = { ...later(node), write: () => Promise.reject(new Error('no')) };
      const writing = lab(full, { rw: 'write', numberIos: 20, iodepth: 1, fsync: 10, direct: 0 });
      writing.run();
      await writing.done();
      expect(frameOf(writing).counters).toMatchObject({ writes: 20, flushes: 2, errors: 2 });
    });

    it('reads ahead of a program that reads in order: windows of 16 KiB to 128 KiB, each begun at its mark', async () => {
      const it = lab(await memoryNode(), { rw: 'read', numberIos: 90, iodepth: 1, direct: 0 });
      it.run();
      await it.done();
      expect(frameOf(it).counters).toMatchObject({ requests: 90, errors: 0 });
      const events = new Set([E.page_cache_sync_ra, E.page_cache_async_ra]);
      const found = findEvents(it.trace, 0, 100, { events }).map(
        (n) => decodeRow(it.trace.copy([n]), 0).args,
      );
      const windows = [
        [0, 4, 3],
        [4, 8, 8],
        [12, 16, 16],
        [28, 32, 32],
        [60, 32, 32],
        [92, 32, 32],
      ];
      expect(found).toEqual(windows.map(([page, pages, ahead]) => [page * 8, pages, ahead]));
      expect(it.trace.counts[E.page_cache_sync_ra]).toBe(1);
      // One request to the disk for each window.
      expect(it.trace.counts[E.virtqueue_pop]).toBe(windows.length);
    });

    it('does not read ahead for a random workload, which fio tells the kernel of', async () => {
      const it = lab(await memoryNode(), { rw: 'randread', numberIos: 200, direct: 0 });
      it.run();
      await it.done();
      const { counts } = it.trace;
      expect(counts[E.page_cache_sync_ra] + counts[E.page_cache_async_ra]).toBe(0);
      expect(counts[E.virtqueue_pop]).toBe(counts[E.mm_filemap_add_to_page_cache]);
    });

    it.each(['read', 'rw'] as const)(
      '%s by several programs on several processors: nobody waits for ever',
      async (rw) => {
        const it = lab(
          later(await memoryNode(64 * MIB)),
          { rw, bs: 6144, numberIos: 800, size: 20 * MIB, direct: 0, iodepth: 4, numjobs: 3, fsync: 50 },
          `${LINE},num-queues=2 -smp 2`,
        );
        it.run();
        await it.done();
        expect(it.error).toBeUndefined();
        expect(frameOf(it).counters).toMatchObject({ errors: 0 });
        expect(it.trace.counts[E.page_cache_async_ra]).toBeGreaterThan(10);
      },
    );

    it.each(['randrw', 'read'] as const)('stops between any two events of %s here too', async (rw) => {
      const workload = {
        numberIos: 40,
        rw,
        size: 128 * 1024,
        fsync: 7,
        direct: 0 as const,
      };
      const running = lab(await memoryNode(), workload);
      running.run();
      await running.done();
      const stepping = lab(await memoryNode(), workload);
      for (let events = stepping.trace.total, ended = false; !ended; events = stepping.trace.total) {
        await stepping.step('event');
        ended = frameOf(stepping).status === 'finished';
        if (!ended) expect(stepping.trace.total - events).toBe(1);
      }
      expect(stepping.trace.counts).toEqual(running.trace.counts);
    });
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
