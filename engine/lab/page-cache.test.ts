/** The guest's page cache between the programs and the disk. */
import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../block/node.ts';
import { fillPattern } from '../guest/workload.ts';
import { findEvents } from '../trace/query.ts';
import { E } from '../trace/registry.ts';
import { decodeRow } from '../trace/row.ts';
import { frameOf, lab, later, LINE, memoryNode, MIB, WORKLOAD } from './testing/memory-lab.ts';

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
    const found = findEvents(it.trace, 0, 100, { events }).map((n) => decodeRow(it.trace.copy([n]), 0).args);
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
