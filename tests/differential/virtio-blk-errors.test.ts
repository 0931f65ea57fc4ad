/** Requests that fail at the host, and `rerror=`/`werror=`: Platter's virtio-blk-pci beside QEMU's over blkdebug. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OnError } from '#engine/block/on-error.ts';
import { PlatterError } from '#engine/errors.ts';
import { BLK_T } from '#engine/virtio/blk/protocol.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { bytes, diskContent, DISK_BYTES, PLAIN } from './blk-script.ts';
import { platterBoard } from './blk-board.ts';
import { qemuBoard } from './board.ts';
import { isCompared } from './differences.ts';
import { ScriptDriver } from './driver.ts';
import { QTest } from './qtest.ts';

/** Reads of this sector and writes of the next one fail. */
const BAD = 64;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platter-errors-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A disk like QEMU's behind blkdebug. */
function brokenNode(content: Uint8Array) {
  const good = arrayNode(DISK_BYTES);
  good.disk.set(content);
  const check = (sector: number, offset: number, length: number): void => {
    if (offset <= sector * 512 && offset + length > sector * 512)
      throw new PlatterError('storage.io', 'broken');
  };
  return {
    ...good,
    read: (offset: number, target: Uint8Array): void => {
      check(BAD, offset, target.length);
      void good.read(offset, target);
    },
    write: (offset: number, source: Uint8Array): void => {
      check(BAD + 1, offset, source.length);
      void good.write(offset, source);
    },
  };
}

describe('requests that fail at the host', () => {
  it.each<[OnError, OnError]>([
    ['auto', 'auto'],
    ['report', 'report'],
    ['ignore', 'ignore'],
    ['report', 'ignore'],
  ])('rerror=%s, werror=%s', async (rerror, werror) => {
    const content = diskContent();
    const image = join(folder, 'disk.img');
    await writeFile(image, content);
    const inject = [
      `inject-error.0.event=read_aio,inject-error.0.errno=5,inject-error.0.sector=${BAD}`,
      `inject-error.1.event=write_aio,inject-error.1.errno=5,inject-error.1.sector=${BAD + 1}`,
    ].join(',');
    const qtest = await QTest.start(join(folder, 'q.sock'), [
      '-blockdev',
      `driver=blkdebug,node-name=bad,image.driver=file,image.filename=${image},${inject}`,
      '-blockdev',
      'driver=raw,node-name=d0,file=bad',
      '-device',
      `virtio-blk-pci,drive=d0,addr=4,disable-legacy=on,rerror=${rerror},werror=${werror}`,
    ]);
    const boards = [platterBoard(brokenNode(content), { rerror, werror }), qemuBoard(qtest)];
    const logs: string[][] = [];
    try {
      for (const board of boards) {
        const driver = new ScriptDriver(board);
        await driver.find();
        await driver.initialise(PLAIN);
        await driver.read(BAD - 2, 512);
        await driver.request(BLK_T.in, BAD, [{ bytes: 512 }]);
        await driver.request(BLK_T.in, BAD - 1, [{ bytes: 1536 }]);
        await driver.request(BLK_T.out, BAD + 1, [{ bytes: bytes(512, 4) }]);
        await driver.request(BLK_T.out, BAD + 2, [{ bytes: bytes(512, 5) }]);
        await driver.read(BAD + 1, 1024);
        const failed = driver.failedRequests;
        logs.push(
          driver.log
            .filter((line) => isCompared(line, !failed.has(line.split(' ')[1])))
            // differs: failed-data
            .filter((line) => !(/^request [23] /.test(line) && /buffer 1|used\.len/.test(line))),
        );
      }
    } finally {
      for (const board of boards) await board.close();
    }
    expect(logs[1].length).toBeGreaterThan(0);
    expect(logs[0]).toEqual(logs[1]);
    const statuses = logs[0]
      .filter((line) => /^request [24] .*buffer 2 /.test(line))
      .map((line) => line.slice(-2));
    expect(statuses).toEqual([rerror, werror].map((policy) => (policy === 'ignore' ? '00' : '01')));
  });
});
