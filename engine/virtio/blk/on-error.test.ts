import { describe, expect, it } from 'vitest';
import type { BlockNode } from '../../block/node.ts';
import { errorAction, ON_ERROR, type OnError } from '../../block/on-error.ts';
import { PlatterError } from '../../errors.ts';
import { RunState } from '../../machine/run-state.ts';
import { E } from '../../trace/registry.ts';
import { decodeRow } from '../../trace/row.ts';
import { STATUS } from '../features.ts';
import { arrayNode, header, openRig, type Rig } from '../testing/rig.ts';
import type { BlkProperties } from './options.ts';
import { BLK_S, BLK_T } from './protocol.ts';

const none = new Uint8Array(0);
const full = (): never => {
  throw new PlatterError('storage.no-space', 'full');
};
const broken = (): never => {
  throw new PlatterError('storage.io', 'broken');
};

/** A disk whose reads and writes fail for as long as `fails` says so. */
function failing(how: () => never) {
  const good = arrayNode(65536);
  const state = { fails: true };
  const node: BlockNode & { disk: Uint8Array } = {
    ...good,
    read: (offset, target) => (state.fails ? how() : good.read(offset, target)),
    write: (offset, source) => (state.fails ? how() : good.write(offset, source)),
    flush: () => (state.fails ? how() : undefined),
  };
  return { node, state };
}

const open = (node: BlockNode, properties: Partial<BlkProperties>, runState?: RunState): Rig =>
  openRig({ node, properties, runState });

describe('blk_get_error_action of QEMU', () => {
  const EIO = 5;
  const ENOSPC = 28;
  it.each<[OnError, boolean, number, string]>([
    ['report', true, EIO, 'report'],
    ['ignore', false, ENOSPC, 'ignore'],
    ['stop', true, EIO, 'stop'],
    ['enospc', false, ENOSPC, 'stop'],
    ['enospc', false, EIO, 'report'],
    ['auto', true, ENOSPC, 'report'],
    ['auto', false, ENOSPC, 'stop'],
    ['auto', false, EIO, 'report'],
  ])('%s, read %s, errno %i: %s', (policy, isRead, errno, action) => {
    expect(errorAction(policy, isRead, errno)).toBe(action);
  });

  it('has the policies of QAPI', () => {
    expect(ON_ERROR).toEqual(['report', 'ignore', 'enospc', 'stop', 'auto']);
  });
});

describe('rerror= and werror=', () => {
  it('report: the driver hears of it, the machine runs on', () => {
    const runState = new RunState();
    const rig = open(failing(broken).node, { rerror: 'report', werror: 'report' }, runState);
    expect(rig.request(BLK_T.in, 0, none, 512)).toMatchObject({ status: BLK_S.ioerr, length: 0 });
    expect(rig.request(BLK_T.out, 0, new Uint8Array(512), 0).status).toBe(BLK_S.ioerr);
    expect(rig.request(BLK_T.flush, 0, none, 0).status).toBe(BLK_S.ioerr);
    expect(runState.status).toBe('running');
    const failed = Array.from({ length: rig.trace.total }, (_, i) => decodeRow(rig.trace.copy([i]), 0)).find(
      ({ event }) => event === E.virtio_blk_rw_complete,
    );
    expect(failed?.args[0]).toBe(0xffff_fffb);
  });

  it('ignore: the driver is told that all is well', () => {
    const rig = open(failing(broken).node, { rerror: 'ignore', werror: 'ignore' });
    expect(rig.request(BLK_T.in, 0, none, 512).status).toBe(BLK_S.ok);
    expect(rig.request(BLK_T.flush, 0, none, 0).status).toBe(BLK_S.ok);
  });

  it.each([
    ['werror=stop', broken, { werror: 'stop' }],
    ['werror=enospc on a full disk, which is the default', full, {}],
  ] as const)('%s: the machine stops, and cont tries again', (_, how, properties) => {
    const { node, state } = failing(how);
    const runState = new RunState();
    const rig = open(node, properties, runState);
    const data = new Uint8Array(512).fill(7);
    const places = [0, 1].map((sector) => rig.offer([header(BLK_T.out, sector), data, 1]));
    rig.go();
    expect(runState.status).toBe('io-error');
    expect(rig.device.waitingForCont).toBeGreaterThan(0);
    expect(rig.ring.take()).toBe(false);
    // Nothing new is begun while it stands still.
    rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    expect(rig.ring.take()).toBe(false);
    // It fails again, and stops again.
    runState.cont();
    rig.device.process();
    expect(runState.status).toBe('io-error');
    // What the driver writes over its header now does not count: it was copied.
    for (const [at] of places) rig.memory.write(at, header(BLK_T.flush, 0));
    state.fails = false;
    runState.cont();
    rig.device.process();
    let answers = 0;
    while (rig.ring.take()) answers++;
    expect(answers).toBe(3);
    expect(places.map((place) => rig.memory.readUint(place[2], 1))).toEqual([BLK_S.ok, BLK_S.ok]);
    expect(node.disk.subarray(0, 1024).every((byte) => byte === 7)).toBe(true);
    expect(rig.device.waitingForCont).toBe(0);
  });

  it('stop, step by step: the same', () => {
    const { node, state } = failing(broken);
    const runState = new RunState();
    const rig = open(node, { rerror: 'stop' }, runState);
    rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.device.notify(0);
    while (rig.device.step() || rig.host.stepHardware());
    expect(runState.status).toBe('io-error');
    expect(rig.device.busy).toBe(false);
    state.fails = false;
    runState.cont();
    expect(rig.device.busy).toBe(true);
    while (rig.device.step() || rig.host.stepHardware());
    expect(rig.ring.take()).toBe(true);
  });

  it('a reset while it stands still forgets what waited', () => {
    const { node, state } = failing(broken);
    const runState = new RunState();
    const rig = open(node, { rerror: 'stop' }, runState);
    const places = rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    rig.device.writeStatus(0);
    expect(rig.device.waitingForCont).toBe(0);
    state.fails = false;
    runState.cont();
    rig.device.process();
    expect(rig.memory.readUint(places[2], 1)).toBe(0xee);
    rig.restart();
    expect(rig.device.status & STATUS.needsReset).toBe(0);
    expect(rig.request(BLK_T.in, 0, none, 512).status).toBe(BLK_S.ok);
  });

  it('without a machine that could be stopped such errors are reported', () => {
    const rig = open(failing(full).node, {});
    expect(rig.request(BLK_T.out, 0, new Uint8Array(512), 0).status).toBe(BLK_S.ioerr);
  });

  it('late answers of the block node follow the policy as well', async () => {
    const runState = new RunState();
    const node: BlockNode = { ...arrayNode(65536), read: () => Promise.reject(new Error('late')) };
    const rig = open(node, { rerror: 'stop' }, runState);
    rig.offer([header(BLK_T.in, 0), 512, 1]);
    rig.go();
    expect(runState.status).toBe('running');
    await new Promise((resolve) => setImmediate(resolve));
    expect(runState.status).toBe('io-error');
  });
});
