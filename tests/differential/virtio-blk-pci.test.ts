/** One script, two devices: Platter's virtio-blk-pci (modern) and QEMU's, register by register. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Random } from '#engine/guest/workload.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { CAP_AT, COMMON, REGION } from '#engine/virtio/transport/pci-layout.ts';
import { platterBoard } from './blk-board.ts';
import { qemuBoard, type Board } from './board.ts';
import {
  diskContent,
  DISK_BYTES,
  EVENT_IDX,
  everyRequest,
  INDIRECT,
  PLAIN,
  randomRequest,
} from './blk-script.ts';
import { isCompared } from './differences.ts';
import { ScriptDriver } from './driver.ts';
import { BAR_BASE, MSIX_BASE } from './pci-transport.ts';
import { QTest } from './qtest.ts';
import { SIZE } from './script-ring.ts';

const SERIAL = 'platter-1';

let folder: string;
let boards: Board[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-qtest-'));
  const content = diskContent();
  const image = join(folder, 'disk.img');
  await writeFile(image, content);
  const qtest = await QTest.start(join(folder, 'q.sock'), [
    '-drive',
    `file=${image},if=none,id=d0,format=raw`,
    '-device',
    `virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,serial=${SERIAL}`,
  ]);
  const node = arrayNode(DISK_BYTES);
  node.disk.set(content);
  boards = [platterBoard(node, { serial: SERIAL }), qemuBoard(qtest)];
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
    const driver = new ScriptDriver(board);
    await script(driver);
    const failed = driver.failedRequests;
    logs.push(driver.log.filter((line) => isCompared(line, !failed.has(line.split(' ')[1]))));
  }
  const [platter, qemu] = logs;
  expect(qemu.length).toBeGreaterThan(0);
  expect(platter).toEqual(qemu);
}

describe('virtio-blk-pci beside QEMU', () => {
  it('discovery: configuration space, BARs, capabilities', async () => {
    await same(async (driver) => {
      await driver.transport.noteConfigSpace('fresh');
      await driver.transport.assign();
      await driver.transport.noteConfigSpace('assigned');
      for (let at = 0; at < 256; at += 4) {
        if (at >= 0x10 && at < 0x28) continue;
        if (at === 4 || (at >= CAP_AT.pci && at < CAP_AT.msix)) continue;
        await driver.transport.setConfig(at, 4, 0xffff_ffff);
      }
      await driver.transport.noteConfigSpace('after writing all ones');
    });
  });

  it('registers: common and device configuration at every width', async () => {
    await same(async (driver) => {
      await driver.transport.assign();
      for (const size of [1, 2, 4] as const) {
        for (let at = 0; at < 0x3c; at += size)
          driver.note(`common ${size} ${at}`, await driver.transport.common(at, size));
        for (let at = 0; at < 0x48; at += size)
          driver.note(`device ${size} ${at}`, await driver.transport.device(at, size));
      }
      for (let at = 0; at < 0x30; at += 4)
        driver.note(`msix ${at}`, await driver.board.read(MSIX_BASE + at, 4));
    });
  });

  it('negotiation: features, status, queue registers, vectors', async () => {
    await same(async (driver) => {
      await driver.transport.assign();
      for (const half of [0, 1, 2]) {
        await driver.transport.setCommon(COMMON.deviceFeatureSelect, 4, half);
        driver.note(`offered ${half}`, await driver.transport.common(COMMON.deviceFeature, 4));
        await driver.transport.setCommon(COMMON.driverFeatureSelect, 4, half);
        await driver.transport.setCommon(COMMON.driverFeature, 4, 0xffff_ffff);
        driver.note(`written ${half}`, await driver.transport.common(COMMON.driverFeature, 4));
      }
      for (const status of [1, 3, 11, 0]) {
        await driver.transport.setCommon(COMMON.status, 1, status);
        driver.note(`status ${status}`, await driver.transport.common(COMMON.status, 1));
      }
      driver.note('features after reset', await driver.transport.common(COMMON.driverFeature, 4));
      for (const vector of [0, 1, 2, 0xffff]) {
        await driver.transport.setCommon(COMMON.configVector, 2, vector);
        driver.note(`config vector ${vector}`, await driver.transport.common(COMMON.configVector, 2));
        await driver.transport.setCommon(COMMON.queueVector, 2, vector);
        driver.note(`queue vector ${vector}`, await driver.transport.common(COMMON.queueVector, 2));
      }
      for (const queue of [0, 1, 5]) {
        await driver.transport.setCommon(COMMON.queueSelect, 2, queue);
        for (const at of [COMMON.queueSelect, COMMON.queueSize, COMMON.queueEnable]) {
          driver.note(`queue ${queue} register ${at}`, await driver.transport.common(at, 2));
        }
      }
    });
  });

  it('the window through configuration space (section 4.1.4.9)', async () => {
    await same(async (driver) => {
      await driver.transport.assign();
      const window = async (offset: number, length: number): Promise<void> => {
        await driver.transport.setConfig(CAP_AT.pci + 4, 1, 4);
        await driver.transport.setConfig(CAP_AT.pci + 8, 4, offset);
        await driver.transport.setConfig(CAP_AT.pci + 12, 4, length);
      };
      for (const [offset, length] of [
        [REGION.device, 4],
        [REGION.device + 4, 4],
        [REGION.device + 18, 2],
        [REGION.device + 19, 1],
        [REGION.common + COMMON.numQueues, 2],
      ]) {
        await window(offset, length);
        driver.note(`window ${offset} ${length}`, await driver.transport.config(CAP_AT.pci + 16, 4));
      }
      await window(REGION.common + COMMON.status, 1);
      await driver.transport.setConfig(CAP_AT.pci + 16, 1, 3);
      driver.note('status through the window', await driver.transport.common(COMMON.status, 1));
    });
  });

  it.each([
    ['plain rings', 0, false],
    ['indirect descriptors', INDIRECT, true],
    ['EVENT_IDX', EVENT_IDX, false],
    ['both', INDIRECT | EVENT_IDX, true],
  ])('requests with %s: data, status, used ring, MSI-X, ISR', async (_, ring, indirect) => {
    await same(async (driver) => {
      await driver.find();
      await driver.initialise([PLAIN[0] | ring, PLAIN[1]]);
      await everyRequest(driver, indirect);
    });
  });

  it('requests with INTx: the line and the ISR', async () => {
    await same(async (driver) => {
      await driver.find(false);
      await driver.initialise(PLAIN);
      await driver.read(8, 512);
      for (const line of await driver.board.lines()) driver.note('line', line);
      await driver.read(9, 512);
      for (const line of await driver.board.lines()) driver.note('line', line);
    });
  });

  it.each([
    ['no writable buffer', [{ bytes: new Uint8Array(16) }]],
    ['a short header', [{ bytes: new Uint8Array(8) }, { bytes: 512 }, { bytes: 1 }]],
    ['no header', [{ bytes: 512 }, { bytes: 1 }]],
  ])('a broken request: %s lays the device down until it is reset', async (_, pieces) => {
    await same(async (driver) => {
      await driver.find();
      await driver.initialise(PLAIN);
      await driver.chain('broken', pieces);
      driver.note('isr', await driver.board.read(BAR_BASE + REGION.isr, 1));
      driver.note('generation', await driver.transport.common(COMMON.configGeneration, 1));
      driver.note('messages', await driver.board.readBytes(0x20_0000, 8));
      await driver.initialise(PLAIN);
      await driver.read(0, 512);
    });
  });

  it.each([
    ['a head past the queue', async (driver: ScriptDriver) => driver.kick(SIZE)],
    ['a loop', async (driver: ScriptDriver) => ring(driver, [0x40_0000, 0, 16, 0x0000_0001])],
    ['a buffer outside memory', async (driver: ScriptDriver) => ring(driver, [0xf000_0000, 0, 16, 0])],
    [
      'an address that wraps',
      async (driver: ScriptDriver) => ring(driver, [0xffff_fff8, 0xffff_ffff, 16, 0]),
    ],
    ['an empty buffer', async (driver: ScriptDriver) => ring(driver, [0x40_0000, 0, 0, 0])],
    ['next past the table', async (driver: ScriptDriver) => ring(driver, [0x40_0000, 0, 16, 0x0100_0001])],
    ['INDIRECT and NEXT', async (driver: ScriptDriver) => ring(driver, [0x40_0000, 0, 32, 0x0001_0005])],
    ['a table of half an entry', async (driver: ScriptDriver) => ring(driver, [0x40_0000, 0, 24, 4])],
  ])('a broken ring: %s', async (_, attack) => {
    await same(async (driver) => {
      await driver.find();
      await driver.initialise([PLAIN[0] | INDIRECT, PLAIN[1]]);
      driver.note('answered', (await attack(driver)) ? 1 : 0);
      driver.note('status', await driver.transport.common(COMMON.status, 1));
      driver.note('messages', await driver.board.readBytes(0x20_0000, 8));
      await driver.initialise(PLAIN);
      await driver.read(0, 512);
    });
  });

  it.each([1, 2, 3])('random requests, seed %i', async (seed) => {
    await same(async (driver) => {
      const random = new Random(seed);
      const pick = (most: number): number => Math.floor(random.next() * most);
      await driver.find();
      const indirect = pick(2) === 1;
      const features = PLAIN[0] | (indirect ? INDIRECT : 0) | (pick(2) === 1 ? EVENT_IDX : 0);
      await driver.initialise([features, PLAIN[1]]);
      for (let i = 0; i < 60; i++) await randomRequest(driver, pick, indirect);
    });
  });

  it.each([4, 5])('random register writes, seed %i', async (seed) => {
    await same(async (driver) => {
      const random = new Random(seed);
      const pick = (most: number): number => Math.floor(random.next() * most);
      await driver.transport.assign();
      const registers = [
        [COMMON.deviceFeatureSelect, 4],
        [COMMON.driverFeatureSelect, 4],
        [COMMON.driverFeature, 4],
        [COMMON.configVector, 2],
        [COMMON.queueVector, 2],
        [COMMON.queueDesc, 4],
        [COMMON.queueDriver + 4, 4],
        [COMMON.queueDevice, 4],
      ] as const;
      for (let i = 0; i < 200; i++) {
        const [at, size] = registers[pick(registers.length)];
        await driver.transport.setCommon(
          at,
          size,
          pick(3) === 0 ? pick(4) : pick(size === 4 ? 0xffff_ffff : 0xffff),
        );
        const [other, width] = registers[pick(registers.length)];
        driver.note(`${i}: ${other}`, await driver.transport.common(other, width));
        if (pick(20) === 0) await driver.transport.setCommon(COMMON.status, 1, [0, 1, 3][pick(3)]);
        driver.note(`${i}: status`, await driver.transport.common(COMMON.status, 1));
      }
    });
  });
});

/** Writes descriptor 0 as four words and offers it. */
async function ring(driver: ScriptDriver, words: readonly number[]): Promise<boolean> {
  await driver.ring.raw(words);
  return driver.kick();
}
