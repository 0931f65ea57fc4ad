import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../../block/node.ts';
import { E } from '../../trace/registry.ts';
import { decodeRow } from '../../trace/row.ts';
import { F, STATUS } from '../features.ts';
import { arrayNode, header, openRig, segment, type RigOptions } from '../testing/rig.ts';
import { BLK_CONFIG } from './config.ts';
import { BLK_S, BLK_T } from './protocol.ts';

const none = new Uint8Array(0);
const pattern = (bytes: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + seed) & 255);

describe('virtio 1.2, section 5.2.6: requests of the block device', () => {
  it('writes and reads back', () => {
    const rig = openRig();
    const data = pattern(4096);
    expect(rig.request(BLK_T.out, 8, data, 0)).toMatchObject({ status: BLK_S.ok, length: 1 });
    const answer = rig.request(BLK_T.in, 8, none, 4096);
    expect(answer).toMatchObject({ status: BLK_S.ok, length: 4097 });
    expect(answer.data).toEqual(data);
  });

  it('flushes', () => {
    const node = arrayNode(65536);
    const rig = openRig({ node });
    expect(rig.request(BLK_T.flush, 0, none, 0)).toMatchObject({ status: BLK_S.ok, length: 1 });
    expect(node.flushes).toBe(1);
  });

  it('answers its serial number, NUL-terminated when short, cut at 20 bytes', () => {
    const short = openRig({ properties: { serial: 'abc' } }).request(BLK_T.getId, 0, none, 20);
    expect(short.status).toBe(BLK_S.ok);
    expect([...short.data.subarray(0, 5)]).toEqual([97, 98, 99, 0, 0xee]);
    expect(short.length).toBe(4);
    const long = openRig({ properties: { serial: 'x'.repeat(30) } }).request(BLK_T.getId, 0, none, 20);
    expect(long.data).toEqual(new Uint8Array(20).fill(120));
    expect(long.length).toBe(21);
  });

  it.each([2, 3, 10, 14, 0x7fff_fffe])('answers UNSUPP to type %i', (type) => {
    expect(openRig().request(type, 0, none, 20).status).toBe(BLK_S.unsupp);
  });

  it('discards and writes zeroes in one segment', () => {
    const node = arrayNode(65536);
    node.disk.fill(0xff);
    const rig = openRig({ node });
    expect(rig.request(BLK_T.discard, 0, segment(8, 8), 0).status).toBe(BLK_S.ok);
    expect(node.disk.subarray(4096, 8192).every((byte) => byte === 0)).toBe(true);
    expect(rig.request(BLK_T.writeZeroes, 0, segment(16, 8, 1), 0).status).toBe(BLK_S.ok);
    expect(node.disk.subarray(8192, 12288).every((byte) => byte === 0)).toBe(true);
    expect(node.disk[12288]).toBe(0xff);
  });

  it.each([
    ['unknown flags', BLK_T.writeZeroes, segment(0, 1, 2), BLK_S.unsupp],
    ['unmap on a discard', BLK_T.discard, segment(0, 1, 1), BLK_S.unsupp],
    ['more sectors than allowed', BLK_T.discard, segment(0, 0x40_0000), BLK_S.ioerr],
    ['sectors past the end', BLK_T.writeZeroes, segment(127, 2), BLK_S.ioerr],
    ['a sector that overflows', BLK_T.discard, segment(0xffff_ffff_ffff_ffffn, 8), BLK_S.ioerr],
    ['two segments', BLK_T.discard, new Uint8Array(32), BLK_S.unsupp],
  ])('refuses a discard or write zeroes with %s', (_, type, data, status) => {
    const rig = openRig({ node: arrayNode(65536) });
    expect(rig.request(type, 0, data, 0).status).toBe(status);
    expect(rig.device.isBroken).toBe(false);
  });

  it('serves requests cut into buffers in any way (section 2.7.4)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 9 }),
        fc.boolean(),
        (cuts, write) => {
          const rig = openRig({ size: 32 });
          const data = pattern(1024);
          const whole = write ? new Uint8Array([...header(BLK_T.out, 4), ...data]) : header(BLK_T.in, 4);
          const out: Uint8Array[] = [];
          let at = 0;
          for (const cut of [...cuts, whole.length]) {
            if (at < whole.length) out.push(whole.subarray(at, at + cut));
            at += cut;
          }
          if (!write) rig.request(BLK_T.out, 4, data, 0);
          const places = rig.offer(write ? [...out, 1] : [...out, 100, 412, 513]);
          rig.go();
          expect(rig.ring.take()).toBe(true);
          expect(rig.ring.usedLength).toBe(write ? 1 : 1025);
          const last = places[places.length - 1];
          expect(rig.memory.readUint(last + (write ? 0 : 512), 1)).toBe(BLK_S.ok);
          expect(rig.request(BLK_T.in, 4, none, 1024).data).toEqual(data);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('virtio 1.2, section 2.7.5: what the driver gave to read is never written', () => {
  it('even when a readable buffer is as long as the data that is asked for', () => {
    const node = arrayNode(65536);
    node.disk.fill(0x55);
    const rig = openRig({ node });
    const places = rig.offer([header(BLK_T.in, 0), pattern(512), 513]);
    rig.go();
    const given = new Uint8Array(512);
    rig.memory.read(places[1], given);
    expect(given).toEqual(pattern(512));
    rig.memory.read(places[2], given);
    expect(given.every((byte) => byte === 0x55)).toBe(true);
  });
});

describe.each(['split', 'packed'] as const)(
  'hostile inputs, devices, line 14: sector arithmetic (%s)',
  (layout) => {
    const past: [string, number | bigint, number][] = [
      ['at the end', 128, 512],
      ['across the end', 127, 1024],
      ['near 2^64', 0xffff_ffff_ffff_ffffn, 512],
      ['that wraps when multiplied', 0x0080_0000_0000_0000n, 512],
      ['half a sector', 0, 100],
    ];
    it.each(past)(
      'reads and writes %s fail with IOERR, nothing is written, the device goes on',
      (_, sector, bytes) => {
        const node = arrayNode(65536);
        const rig = openRig({ node, layout });
        for (const write of [false, true]) {
          const places = rig.offer(
            write ? [header(BLK_T.out, sector), pattern(bytes), 1] : [header(BLK_T.in, sector), bytes, 1],
          );
          rig.go();
          expect(rig.ring.take()).toBe(true);
          expect(rig.memory.readUint(places[2], 1)).toBe(BLK_S.ioerr);
          expect(rig.ring.usedLength).toBe(write ? 1 : 0);
        }
        expect(node.disk.every((byte) => byte === 0)).toBe(true);
        expect(rig.request(BLK_T.in, 0, none, 512).status).toBe(BLK_S.ok);
      },
    );

    it('a write to a read-only disk fails with IOERR', () => {
      const rig = openRig({ node: arrayNode(65536, true), layout });
      expect(rig.request(BLK_T.out, 0, pattern(512), 0).status).toBe(BLK_S.ioerr);
      expect(rig.device.offered & (1n << BigInt(F.BLK_RO))).not.toBe(0n);
    });
  },
);

describe.each(['split', 'packed'] as const)(
  'hostile inputs, devices, lines 5 and 11: requests without room (%s)',
  (layout) => {
    it.each([
      ['no writable buffer', [header(0, 0)], 'virtio.blk-no-status'],
      ['a short header', [new Uint8Array(15), 513], 'virtio.blk-header'],
      ['no readable buffer', [513], 'virtio.blk-header'],
      ['a short segment', [header(BLK_T.discard, 0), new Uint8Array(8), 1], 'virtio.blk-segment'],
    ])('%s lays the device down, and a reset brings it back', (_, buffers, code) => {
      const rig = openRig({ layout });
      rig.offer(buffers);
      rig.go();
      expect(rig.device.error?.code).toBe(code);
      expect(rig.device.status & STATUS.needsReset).not.toBe(0);
      expect(rig.interrupts.config).toBe(1);
      expect(rig.ring.take()).toBe(false);
      rig.restart();
      expect(rig.device.error).toBeUndefined();
      expect(rig.request(BLK_T.in, 0, none, 512).status).toBe(BLK_S.ok);
    });
  },
);

describe('the loop that serves requests at once', () => {
  const host = new Set<number>([
    E.file_paio_submit,
    E.host_rq_issue,
    E.host_rq_complete,
    E.thread_pool_complete,
  ]);
  /** Every request's events with their arguments, those of the host's model left out, and how the memory looks after. */
  const run = (options: RigOptions, work: (rig: ReturnType<typeof openRig>) => void) => {
    const node = arrayNode(65536);
    node.disk.set(pattern(65536));
    const eventIdx = options.eventIdx === true;
    const rig = openRig({ node, size: 32, ...options });
    rig.offer([header(BLK_T.in, 3), 512, 1]);
    rig.offer([header(BLK_T.out, 9), pattern(1024, 5), 1]);
    rig.offer([header(BLK_T.in, 1 << 20), 512, 1]);
    rig.offer([header(BLK_T.flush, 0), 1]);
    rig.offer([header(BLK_T.in, 0), 512, 1024, 1]);
    rig.offer([header(77, 0), 1]);
    rig.offer([header(BLK_T.in, 9), 1024, 1]);
    rig.device.notify(0);
    work(rig);
    const rows = Array.from({ length: rig.trace.total }, (_, i) => decodeRow(rig.trace.copy([i]), 0));
    const known = rows.filter(({ event, requestId }) => requestId > 0 && !host.has(event));
    // With EVENT_IDX only the first answer interrupts, and which one is first follows the order of completion, too.
    const asked = new Set(eventIdx ? ['virtio_notify', 'virtio_should_notify'] : []);
    // `virtqueue_fill` tells where in the used ring the answer went: that follows the order of completion, which may differ.
    const plain = known.map(({ name, requestId, args }) => ({
      requestId,
      is: asked.has(name) ? 'asked' : [name, ...(name === 'virtqueue_fill' ? args.slice(0, 3) : args)],
    }));
    const events = new Map<number, unknown[]>();
    for (const { requestId, is } of plain) events.set(requestId, [...(events.get(requestId) ?? []), is]);
    return { events, disk: node.disk, rig };
  };

  it.each<RigOptions>([
    {},
    { eventIdx: true },
    { indirect: true },
    { layout: 'packed' },
    { layout: 'packed', eventIdx: true, indirect: true },
  ])('gives every request the events that single steps give it: %o', (options) => {
    const looped = run(options, ({ device }) => device.process());
    const stepped = run(options, ({ device, host: disk }) => {
      while (device.step() || disk.stepHardware());
    });
    expect(looped.events.size).toBe(7);
    expect(looped.events).toEqual(stepped.events);
    expect(looped.disk).toEqual(stepped.disk);
    expect(looped.rig.interrupts).toEqual(stepped.rig.interrupts);
    expect(looped.rig.device.stats).toEqual(stepped.rig.device.stats);
  });
});

describe('hostile inputs, devices, line 9: what was checked is what is used', () => {
  it('a driver that rewrites descriptors and header after the device took them changes nothing', () => {
    const node = arrayNode(65536);
    node.disk.set(pattern(512, 9), 512);
    const rig = openRig({ node });
    const places = rig.offer([header(BLK_T.in, 1), 512, 1]);
    rig.device.notify(0);
    while (rig.trace.counts[E.virtio_blk_handle_read] === 0) rig.device.step();
    rig.memory.write(RIG_DESC, new Uint8Array(16 * 16).fill(0xff));
    rig.memory.write(places[0], header(BLK_T.out, 0xffff));
    rig.device.process();
    const found = new Uint8Array(512);
    rig.memory.read(places[1], found);
    expect(found).toEqual(pattern(512, 9));
    expect(rig.memory.readUint(places[2], 1)).toBe(BLK_S.ok);
  });
});
const RIG_DESC = 0x10_0000;

describe('hostile inputs, devices, line 11: completions after a reset', () => {
  /** A node whose reads wait until they are let go. */
  function gated() {
    const waiting: (() => void)[] = [];
    const node: BlockNode = {
      ...arrayNode(65536),
      read: (_, target) => new Promise<void>((resolve) => waiting.push(() => (target.fill(0xaa), resolve()))),
    };
    return { node, waiting };
  }
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('are dropped, and the reset is complete only then (section 4.1.4.3.1)', async () => {
    const { node, waiting } = gated();
    const rig = openRig({ node });
    const places = rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    expect(rig.ring.take()).toBe(false);
    rig.device.writeStatus(0);
    expect(rig.device.readStatus()).not.toBe(0);
    waiting[0]();
    await settled();
    expect(rig.device.readStatus()).toBe(0);
    expect(rig.memory.readUint(places[2], 1)).toBe(0xee);
    expect(rig.ring.take()).toBe(false);
    rig.restart();
    const again = rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    waiting[1]();
    await settled();
    expect(rig.ring.take()).toBe(true);
    expect(rig.memory.readUint(again[2], 1)).toBe(BLK_S.ok);
  });

  it('are dropped after a reset of their queue alone (section 2.6.1)', async () => {
    const { node, waiting } = gated();
    const rig = openRig({ node });
    const places = rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    rig.device.resetQueue(rig.device.queues[0]);
    waiting[0]();
    await settled();
    expect(rig.memory.readUint(places[2], 1)).toBe(0xee);
    expect(rig.device.queues[0].enabled).toBe(false);
  });
});

describe('virtio 1.2, section 5.2.5.2: the write cache', () => {
  it('is write-through for a driver that took neither FLUSH nor CONFIG_WCE', () => {
    const node = arrayNode(65536);
    const rig = openRig({ node });
    rig.device.writeStatus(0);
    rig.device.writeStatus(STATUS.driverOk);
    expect(rig.device.readConfig(BLK_CONFIG.writeback, 1)).toBe(0);
  });

  it('follows the writeback field, and each write is flushed while it is off', () => {
    const node = arrayNode(65536);
    const rig = openRig({ node });
    rig.request(BLK_T.out, 0, pattern(512), 0);
    expect(node.flushes).toBe(0);
    rig.device.writeConfig(BLK_CONFIG.writeback, 1, 0);
    rig.request(BLK_T.out, 0, pattern(512), 0);
    expect(node.flushes).toBe(1);
    // QEMU writes zeroes as any other write: with FUA while the cache is off (`blk_co_do_pwritev_part`).
    rig.request(BLK_T.writeZeroes, 0, segment(0, 8), 0);
    expect(node.flushes).toBe(2);
  });
});
