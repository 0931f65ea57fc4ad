/** The SCSI host by the sections of virtio 1.2; what QEMU answers is held against it in tests/differential/virtio-scsi-pci.test.ts. */
import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../../block/node.ts';
import { PlatterError } from '../../errors.ts';
import { STATUS as SCSI_STATUS } from '../../scsi/command.ts';
import { ScsiDisk } from '../../scsi/disk/disk.ts';
import { parseSense, SENSE } from '../../scsi/sense.ts';
import { E } from '../../trace/registry.ts';
import { arrayNode } from '../testing/rig.ts';
import { CMD_RESP, EVENT, EVENT_BYTES, EVENTS_MISSED, QUEUE, RESPONSE, TMF } from './protocol.ts';
import { ScsiRig } from './testing.ts';

const READ = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const WRITE = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const TEST_UNIT_READY = [0, 0, 0, 0, 0, 0];
const ANSWER_BYTES = CMD_RESP.sense + 96;

/** A node that answers only when it is told to. */
function held(bytes = 1024 * 1024): { node: BlockNode; release: () => void; waiting: () => number } {
  const node = arrayNode(bytes);
  const waiting: (() => void)[] = [];
  const wait = (work: () => void): Promise<void> =>
    new Promise((resolve) =>
      waiting.push(() => {
        work();
        resolve();
      }),
    );
  return {
    node: {
      ...node,
      read: (offset, target) => wait(() => void node.read(offset, target)),
      write: (offset, source) => wait(() => void node.write(offset, source)),
      flush: () => wait(() => void node.flush()),
    },
    release: () => waiting.splice(0).forEach((go) => go()),
    waiting: () => waiting.length,
  };
}
/** Lets promises come true. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(['split', 'packed'] as const)('5.6.6.1 commands over %s rings', (layout) => {
  it('a header, data and answer cut at every place are the same request (2.7.4)', () => {
    const rig = new ScsiRig({ layout, indirect: true });
    const content = Uint8Array.from({ length: 512 }, (_, i) => (i * 7) & 255);
    const header = ScsiRig.header(WRITE);
    for (const cut of [1, 8, 18, 19, 20, 50]) {
      const places = rig.offer(QUEUE.request, [
        header.slice(0, cut),
        header.slice(cut),
        content.slice(0, 100),
        content.slice(100),
        5,
        ANSWER_BYTES - 5,
      ]);
      rig.go();
      expect(rig.rings[QUEUE.request].take()).toBe(true);
      expect(rig.rings[QUEUE.request].usedLength).toBe(ANSWER_BYTES);
      // Response is byte 11: byte 6 of the second piece.
      expect(rig.memory.readUint(places[5] + 6, 1)).toBe(RESPONSE.ok);
    }
    // The whole header and the data in one buffer, answer and data in one buffer.
    const joined = new Uint8Array(header.length + 512);
    joined.set(header);
    joined.set(content, header.length);
    rig.offer(QUEUE.request, [joined, ANSWER_BYTES]);
    const read = rig.offer(QUEUE.request, [ScsiRig.header(READ), ANSWER_BYTES + 512]);
    rig.go();
    expect(rig.rings[QUEUE.request].take() && rig.rings[QUEUE.request].take()).toBe(true);
    const data = new Uint8Array(512);
    rig.memory.read(read[1] + ANSWER_BYTES, data);
    expect(Buffer.compare(data, content)).toBe(0);
  });

  it('the residual counts what was not moved, and used.len what was written', () => {
    const rig = new ScsiRig({ layout });
    const read = rig.command(READ, { into: 2048 });
    expect(read).toMatchObject({ response: RESPONSE.ok, status: SCSI_STATUS.good, resid: 1536 });
    expect(read.length).toBe(ANSWER_BYTES + 512);
    expect(read.data.subarray(512).every((byte) => byte === 0xee)).toBe(true);
    const write = rig.command(WRITE, { out: new Uint8Array(1024).fill(1) });
    expect(write).toMatchObject({ status: SCSI_STATUS.good, resid: 512, length: ANSWER_BYTES });
    expect(rig.command(READ, { into: 512 }).data.every((byte) => byte === 1)).toBe(true);
    const failed = rig.command([0x28, 0, 255, 0, 0, 0, 0, 0, 1, 0], { into: 512 });
    expect(failed).toMatchObject({ status: SCSI_STATUS.checkCondition, resid: 0, length: ANSWER_BYTES });
    expect(parseSense(failed.sense)).toEqual(SENSE.lbaOutOfRange);
  });

  it('data both ways needs INOUT, which is not offered: FAILURE', () => {
    const rig = new ScsiRig({ layout });
    expect(rig.command(WRITE, { out: new Uint8Array(512), into: 512 }).response).toBe(RESPONSE.failure);
  });

  it('the CDB that counts is the one that was there when the request was taken (CVE: double fetch)', () => {
    const rig = new ScsiRig({ layout });
    const [headerAt, , answerAt] = rig.offer(QUEUE.request, [
      ScsiRig.header(WRITE),
      new Uint8Array(512).fill(9),
      ANSWER_BYTES,
    ]);
    rig.device.notify(QUEUE.request);
    while (rig.trace.counts[E.virtio_scsi_cmd_req] === 0) rig.device.step();
    // Another address, another command, far past the end.
    rig.memory.write(headerAt, ScsiRig.header([0x28, 0, 255, 255, 255, 255, 0, 255, 255, 0], 9, 9));
    rig.device.process();
    expect(rig.memory.readUint(answerAt + CMD_RESP.response, 1)).toBe(RESPONSE.ok);
    expect(rig.command(READ, { into: 512 }).data.every((byte) => byte === 9)).toBe(true);
  });
});

describe('5.6.6.2 task management of commands that run', () => {
  it('ABORT TASK answers when the command has, as ABORTED; QUERY TASK sees it until then', async () => {
    const { node, release, waiting } = held();
    const rig = new ScsiRig({ node });
    const control = rig.rings[QUEUE.control];
    const command = rig.offerCommand(READ, { into: 512, tag: 7 });
    rig.go();
    expect(waiting()).toBe(1);
    const query = rig.offerTmf(TMF.queryTask, 7);
    const other = rig.offerTmf(TMF.queryTask, 8);
    const set = rig.offerTmf(TMF.queryTaskSet);
    rig.go(QUEUE.control);
    const answers = [query, other, set].map((at) => rig.memory.readUint(at, 1));
    expect(answers).toEqual([RESPONSE.functionSucceeded, RESPONSE.ok, RESPONSE.functionSucceeded]);
    while (control.take());
    const abort = rig.offerTmf(TMF.abortTask, 7);
    rig.go(QUEUE.control);
    expect(control.take()).toBe(false);
    expect(rig.trace.counts[E.scsi_req_cancel]).toBe(1);
    release();
    await settle();
    expect(control.take()).toBe(true);
    expect(rig.memory.readUint(abort, 1)).toBe(RESPONSE.ok);
    expect(rig.rings[QUEUE.request].take()).toBe(true);
    expect(rig.answer(command)).toMatchObject({ response: RESPONSE.aborted });
  });

  it('ABORT TASK SET, CLEAR TASK SET and resets take all of one unit, and nothing of another', async () => {
    for (const [subtype, response] of [
      [TMF.abortTaskSet, RESPONSE.aborted],
      [TMF.clearTaskSet, RESPONSE.aborted],
      [TMF.logicalUnitReset, RESPONSE.reset],
      [TMF.itNexusReset, RESPONSE.reset],
    ]) {
      const { node, release } = held();
      const rig = new ScsiRig({ node });
      const second = new ScsiDisk({ node, kind: 'disk' });
      rig.device.attach(0, 1, second);
      second.takeAttention(rig.device.name);
      rig.command(TEST_UNIT_READY); // reported LUNs have changed
      const mine = [1, 2, 3].map((tag) => rig.offerCommand(READ, { into: 512, tag }));
      const others = rig.offerCommand(READ, { into: 512, tag: 4, lun: 1 });
      rig.go();
      rig.offerTmf(subtype);
      rig.go(QUEUE.control);
      expect(rig.rings[QUEUE.control].take()).toBe(false);
      release();
      await settle();
      expect(rig.rings[QUEUE.control].take()).toBe(true);
      for (const command of mine) expect(rig.answer(command).response).toBe(response);
      const alone = subtype === TMF.itNexusReset ? response : RESPONSE.ok;
      expect(rig.answer(others).response).toBe(alone);
      const next = rig.command(TEST_UNIT_READY);
      expect(parseSense(next.sense)).toEqual(response === RESPONSE.reset ? SENSE.reset : undefined);
    }
  });

  it('a second ABORT of the same command waits as well, and both are answered', async () => {
    const { node, release } = held();
    const rig = new ScsiRig({ node });
    rig.offerCommand(READ, { into: 512, tag: 7 });
    rig.go();
    rig.offerTmf(TMF.abortTask, 7);
    rig.offerTmf(TMF.abortTask, 7);
    rig.go(QUEUE.control);
    release();
    await settle();
    expect(rig.rings[QUEUE.control].take() && rig.rings[QUEUE.control].take()).toBe(true);
  });
});

describe('reset while commands run (4.1.4.3.1)', () => {
  it.each(['device', 'queue'] as const)('of the %s: what comes late is written nowhere', async (what) => {
    const { node, release } = held();
    const rig = new ScsiRig({ node });
    const command = rig.offerCommand(READ, { into: 512 });
    rig.go();
    const answerBefore = rig.answer(command);
    if (what === 'device') {
      rig.device.writeStatus(0);
      expect(rig.device.readStatus()).not.toBe(0);
    } else {
      rig.device.resetQueue(rig.device.queues[QUEUE.request]);
    }
    release();
    await settle();
    if (what === 'device') expect(rig.device.readStatus()).toBe(0);
    expect(rig.answer(command)).toEqual({ ...answerBefore, data: rig.answer(command).data });
    rig.start();
    rig.offerCommand(READ, { into: 512 });
    rig.go();
    release();
    await settle();
    expect(rig.rings[QUEUE.request].take()).toBe(true);
  });

  it('a task management request that waits is forgotten with its queue', async () => {
    const { node, release } = held();
    const rig = new ScsiRig({ node });
    rig.offerCommand(READ, { into: 512, tag: 7 });
    rig.go();
    rig.offerTmf(TMF.abortTask, 7);
    rig.go(QUEUE.control);
    rig.device.resetQueue(rig.device.queues[QUEUE.control]);
    release();
    await settle();
    expect(rig.rings[QUEUE.control].take()).toBe(false);
    expect(rig.rings[QUEUE.request].take()).toBe(true);
  });
});

describe('5.6.6.3 events', () => {
  it('a disk that comes is told by its address; without a buffer the next event says that one was missed', () => {
    const rig = new ScsiRig();
    rig.device.attach(3, 300, new ScsiDisk({ node: arrayNode(65536), kind: 'disk' }));
    rig.device.process();
    const [at] = rig.offer(QUEUE.event, [EVENT_BYTES]);
    rig.device.detach(3, 300);
    rig.device.process();
    const event = new Uint8Array(EVENT_BYTES);
    rig.memory.read(at, event);
    const view = new DataView(event.buffer);
    expect(view.getUint32(0, true)).toBe((EVENT.transportReset | EVENTS_MISSED) >>> 0);
    expect([...event.subarray(4, 12)]).toEqual([1, 3, 0x41, 0x2c, 0, 0, 0, 0]);
    expect(view.getUint32(12, true)).toBe(2);
  });
});

describe('where Platter goes further than QEMU 7.2 (tests/differential/virtio-scsi-differences.ts)', () => {
  it('FORMAT UNIT with parameters is refused, not fatal', () => {
    const answer = new ScsiRig().command([0x04, 0x10, 0, 0, 0, 0], { out: new Uint8Array(4) });
    expect(parseSense(answer.sense)).toEqual(SENSE.invalidField);
  });

  it('WRITE SAME without a data-out buffer writes zeroes', () => {
    const rig = new ScsiRig();
    rig.command(WRITE, { out: new Uint8Array(512).fill(7) });
    const cdb = [0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0];
    expect(rig.command(cdb).status).toBe(SCSI_STATUS.good);
    expect(rig.command(READ, { into: 512 }).data.every((byte) => byte === 0)).toBe(true);
  });

  it('VERIFY past the end says so, and SYNCHRONIZE CACHE(16) flushes', () => {
    const node = arrayNode(1024 * 1024);
    const rig = new ScsiRig({ node });
    const verify = rig.command([0x2f, 0, 255, 0, 0, 0, 0, 0, 1, 0]);
    expect(parseSense(verify.sense)).toEqual(SENSE.lbaOutOfRange);
    expect(rig.command([0x91, ...Array<number>(15).fill(0)]).status).toBe(SCSI_STATUS.good);
    expect(node.flushes).toBe(1);
  });

  it('an error of the block node is sense data, and the driver is not told more', () => {
    const node: BlockNode = {
      ...arrayNode(1024 * 1024),
      read: () => {
        throw new PlatterError('test.broken', '/secret/path is broken', {});
      },
    };
    const rig = new ScsiRig({ node });
    const answer = rig.command(READ, { into: 512 });
    expect(parseSense(answer.sense)).toEqual(SENSE.ioError);
    expect(rig.device.lastFailure).toBeInstanceOf(PlatterError);
    expect(parseSense(rig.command([0x03, 0, 0, 0, 18, 0], { into: 18 }).data)).toEqual(SENSE.ioError);
  });

  it('a node without space is SPACE ALLOCATION FAILED, as in QEMU', () => {
    const node: BlockNode = {
      ...arrayNode(1024 * 1024),
      write: () => {
        throw new PlatterError('storage.no-space', 'no space is left', {});
      },
    };
    const answer = new ScsiRig({ node }).command(WRITE, { out: new Uint8Array(512) });
    expect(parseSense(answer.sense)).toEqual(SENSE.spaceAllocationFailed);
  });
});
