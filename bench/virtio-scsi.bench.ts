/**
 * Requests a second at 4 KiB through the driver's half, the split ring, virtio-scsi, the SCSI target and a disk in memory; beside
 * virtio-blk over the same disk and the same ring in the same run: what a SCSI command costs more than a block request.
 */
import { performance } from 'node:perf_hooks';
import { HostIo } from '#engine/machine/host-io.ts';
import { createMemory, type GuestMemory } from '#engine/machine/memory.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { TraceRing } from '#engine/trace/ring.ts';
import { F, featureSet, STATUS } from '#engine/virtio/features.ts';
import { SplitDriverQueue } from '#engine/virtio/queue/split-driver.ts';
import { VirtioScsi } from '#engine/virtio/scsi/device.ts';
import { CMD_REQ, CMD_RESP, encodeAddress, QUEUE } from '#engine/virtio/scsi/protocol.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import type { BenchLine } from './bench.ts';
import { openRig, runBatch } from './virtio-rig.ts';

export const name = 'virtio-scsi';

const MIB = 1024 * 1024;
const QUEUE_SIZE = 256;
const DATA = 4096;
const BATCH = 32;
const REQUESTS = 200_000;
/** Each side is measured so often, alternately, and the best run counts: what disturbs only ever costs time. */
const ROUNDS = 7;
const BUFFERS = 4 * MIB;
/** Header and answer of each request. */
const SLOTS = 2 * MIB;
const SLOT_BYTES = 256;
const ANSWER_AT = 64;
const HEADER_BYTES = CMD_REQ.cdb + 32;
const ANSWER_BYTES = CMD_RESP.sense + 96;
const READ10 = 0x28;

interface ScsiRig {
  memory: GuestMemory;
  device: VirtioScsi;
  ring: SplitDriverQueue;
}

function open(tracing: boolean): ScsiRig {
  const memory = createMemory(16 * MIB);
  const trace = new TraceRing({ clock: () => performance.now() * 1e6 });
  trace.enabled = tracing;
  const device = new VirtioScsi({ name: 'bench', memory, trace, host: new HostIo(trace) });
  const disk = new ScsiDisk({ node: arrayNode(MIB), kind: 'disk' });
  device.attach(0, 0, disk);
  device.writeFeatures(featureSet(F.VERSION_1));
  const ring = new SplitDriverQueue(memory, MIB, QUEUE_SIZE, { indirect: false, eventIdx: false });
  const queue = device.queues[QUEUE.request];
  const { desc, driver, device: used } = ring.addresses;
  Object.assign(queue, { desc, driver, device: used });
  device.enableQueue(queue);
  device.writeStatus(STATUS.acknowledge | STATUS.driver | STATUS.featuresOk | STATUS.driverOk);
  disk.takeAttention(device.name);
  for (let i = 0; i < BATCH; i++) {
    memory.write(SLOTS + i * SLOT_BYTES, encodeAddress(0, 0));
    memory.write(SLOTS + i * SLOT_BYTES + CMD_REQ.cdb, Uint8Array.of(READ10, 0, 0, 0, 0, i * 8, 0, 0, 8, 0));
  }
  return { memory, device, ring };
}

/** Offers a batch of 4 KiB reads, lets the device serve them, takes them back. Throws when one did not succeed. */
function batch({ memory, device, ring }: ScsiRig): void {
  for (let i = 0; i < BATCH; i++) {
    const at = SLOTS + i * SLOT_BYTES;
    memory.bytes[at + ANSWER_AT + CMD_RESP.response] = 0xff;
    ring.begin(3);
    ring.add(at, HEADER_BYTES, false);
    ring.add(at + ANSWER_AT, ANSWER_BYTES, true);
    ring.add(BUFFERS + i * DATA, DATA, true);
    ring.commit();
  }
  if (ring.kick()) device.notify(QUEUE.request);
  device.process();
  let taken = 0;
  while (ring.take()) taken++;
  if (taken !== BATCH || memory.bytes[SLOTS + ANSWER_AT + CMD_RESP.response] !== 0) {
    throw new Error('the device lost a request');
  }
}

/** Requests a second of `work`, which does one batch. */
function measure(work: () => void): number {
  const start = performance.now();
  for (let done = 0; done < REQUESTS; done += BATCH) work();
  return (REQUESTS / (performance.now() - start)) * 1000;
}

/** Bytes of garbage that a request leaves behind, seen over many. */
function garbagePerRequest(work: () => void): number {
  const before = process.memoryUsage().heapUsed;
  measure(work);
  return Math.max(0, process.memoryUsage().heapUsed - before) / REQUESTS;
}

export async function run(report: (line: BenchLine) => void): Promise<void> {
  const off = open(false);
  const on = open(true);
  const blk = openRig({ trace: false });
  const works = [() => batch(off), () => batch(on), () => runBatch(blk, BATCH)];
  const figures = works.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    works.forEach((work, i) => (figures[i] = Math.max(figures[i], measure(work))));
  }
  const [untraced, traced, block] = figures;
  const unit = 'requests/s';
  const better = 'higher';
  report({ what: '4k reads, trace off', ours: untraced, theirs: block, peer: 'virtio-blk', unit, better });
  report({ what: 'trace on against off', ours: traced, theirs: untraced, peer: 'trace off', unit, better });
  report({
    what: 'garbage',
    ours: garbagePerRequest(works[0]) + 1,
    theirs: 1,
    peer: 'none (1 added to both)',
    unit: 'bytes/request',
    better: 'lower',
  });
}
