/** Which virtio-mmio transport a device of a microvm sits on: in the laboratory the one that it has in QEMU, whatever its kind. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createLab } from '#engine/lab/lab.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { MMIO } from '#engine/virtio/transport/mmio-layout.ts';
import { QTest } from './qtest.ts';

const TRANSPORTS = 24;
const BASE = 0xfeb0_0000;
const BYTES = 0x200;
const BLK = 2;
const SCSI = 8;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

it.each<[string, string[], number[]]>([
  [
    'in the order of the line',
    [
      'virtio-scsi-device,id=s0',
      'virtio-blk-device,drive=d0',
      'scsi-hd,bus=s0.0,drive=d1',
      'virtio-scsi-device,id=s1',
      'virtio-blk-device,drive=d2',
      'scsi-hd,bus=s1.0,drive=d3',
    ],
    [BLK, SCSI, BLK, SCSI],
  ],
  [
    'where bus= puts it',
    [
      'virtio-blk-device,drive=d0,bus=virtio-mmio-bus.3',
      'virtio-scsi-device,id=s0,bus=virtio-mmio-bus.23',
      'virtio-blk-device,drive=d2',
      'scsi-hd,drive=d1',
      'scsi-hd,drive=d3',
    ],
    [BLK, SCSI, BLK, SCSI],
  ],
])('%s', async (_, devices, kinds) => {
  const folder = await mkdtemp(join(tmpdir(), 'platter-mmio-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const names = ['d0', 'd1', 'd2', 'd3'];
  const words: string[] = [];
  for (const name of names) {
    const file = join(folder, `${name}.img`);
    await writeFile(file, new Uint8Array(65536));
    words.push('-drive', `file=${file},if=none,id=${name},format=raw`);
  }
  words.push(...devices.flatMap((device) => ['-device', device]));
  const qtest = await QTest.start(join(folder, 'q.sock'), words, 'microvm');
  cleanups.push(() => qtest.close());
  const qemu = new Map<number, number>();
  for (let at = 0; at < TRANSPORTS; at++) {
    const base = BASE + at * BYTES;
    const kind = Number(await qtest.ask(`readl 0x${(base + MMIO.deviceId).toString(16)}`));
    if (kind === BLK || kind === SCSI) qemu.set(base, kind);
  }

  const workload = {
    rw: 'read' as const,
    bs: 4096,
    iodepth: 1,
    numberIos: 1,
    offset: 0,
    size: 0,
    rwmixread: 50,
    seed: 1,
    fsync: 0,
  };
  const lab = createLab({
    line: parseCommandLine(`-M microvm ${words.join(' ')}`),
    drives: () => arrayNode(65536),
    workload: { ...workload, disks: names },
  });
  const ours = names.map((_name, disk) => {
    const request = { seq: 0, from: 0, count: 0, requestId: null, queue: null, disk, details: 'status' };
    const place = lab.frame(request).details?.fields[0].place;
    return place?.space === 'memory' ? place.address - MMIO.status : -1;
  });
  expect(new Map(ours.map((base, disk) => [base, kinds[disk]]))).toEqual(qemu);
});
