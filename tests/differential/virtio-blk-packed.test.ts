/** One script, two devices: Platter's virtio-blk-pci and QEMU's with `packed=on`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { COMMON } from '#engine/virtio/transport/pci-layout.ts';
import {
  diskContent,
  DISK_BYTES,
  EVENT_IDX,
  everyRequest,
  INDIRECT,
  PLAIN,
  randomRequest,
  RING_PACKED,
} from './blk-script.ts';
import { platterBoard } from './blk-board.ts';
import { qemuBoard, type Board } from './board.ts';
import { isCompared } from './differences.ts';
import { PACKED as PACKED_RING, ScriptDriver } from './driver.ts';
import { QTest } from './qtest.ts';

const PACKED = PLAIN[1] | RING_PACKED;

let folder: string;
let boards: Board[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-packed-'));
  const image = join(folder, 'disk.img');
  const content = diskContent();
  await writeFile(image, content);
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${image},if=none,id=d0,format=raw`,
    '-device',
    'virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,serial=p,packed=on',
  ]);
  const node = arrayNode(DISK_BYTES);
  node.disk.set(content);
  boards = [platterBoard(node, { serial: 'p', packed: true }), qemuBoard(qtest)];
  await qtest.ask('irq_intercept_in ioapic');
});

afterEach(async () => {
  for (const board of boards ?? []) await board.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the script on both and compares what they answered. */
async function same(script: (driver: ScriptDriver) => Promise<void>): Promise<void> {
  const logs: string[][] = [];
  for (const board of boards) {
    const driver = new ScriptDriver(board, PACKED_RING);
    await driver.find();
    await script(driver);
    const failed = driver.failedRequests;
    logs.push(driver.log.filter((line) => isCompared(line, !failed.has(line.split(' ')[1]))));
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(0);
  expect(platter).toEqual(qemu);
}

describe('virtio-blk-pci with packed=on beside QEMU', () => {
  it('offers the same features', async () => {
    await same(async (driver) => {
      for (const half of [0, 1]) {
        await driver.transport.setCommon(COMMON.deviceFeatureSelect, 4, half);
        driver.note(`offered ${half}`, await driver.transport.common(COMMON.deviceFeature, 4));
      }
    });
  });

  it.each([
    ['plain rings', 0, false],
    ['indirect descriptors', INDIRECT, true],
    ['EVENT_IDX', EVENT_IDX, false],
    ['both', INDIRECT | EVENT_IDX, true],
  ])(
    'requests with %s: data, status, used descriptors, suppression, MSI-X, ISR',
    async (_, features, indirect) => {
      await same(async (driver) => {
        await driver.initialise([PLAIN[0] | features, PACKED]);
        await everyRequest(driver, indirect);
      });
    },
  );

  // differs: packed-endless, virtio-registers; these are refused for the want of a status byte.
  it.each([
    ['a buffer outside memory', [0xf000_0000, 0, 16, 0]],
    ['an address that wraps', [0xffff_fff8, 0xffff_ffff, 16, 0]],
    ['no writable buffer', [0x40_0000, 0, 16, 0]],
  ])('a broken ring: %s', async (_, words) => {
    await same(async (driver) => {
      await driver.initialise([PLAIN[0] | INDIRECT, PACKED]);
      await driver.ring.raw(words);
      driver.note('answered', (await driver.kick()) ? 1 : 0);
      driver.note('status', await driver.transport.common(COMMON.status, 1));
      driver.note('messages', await driver.board.readBytes(0x20_0000, 8));
      await driver.initialise([PLAIN[0], PACKED]);
      await driver.read(0, 512);
    });
  });

  it.each([11, 12])('random requests, seed %i', async (seed) => {
    await same(async (driver) => {
      const random = new Random(seed);
      const pick = (most: number): number => Math.floor(random.next() * most);
      const indirect = pick(2) === 1;
      const features = PLAIN[0] | (indirect ? INDIRECT : 0) | (pick(2) === 1 ? EVENT_IDX : 0);
      await driver.initialise([features, PACKED]);
      for (let i = 0; i < 60; i++) await randomRequest(driver, pick, indirect);
    });
  });
});
