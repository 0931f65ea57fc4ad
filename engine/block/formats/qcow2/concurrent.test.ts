/** Over a slow storage many requests are under way at once: they must not get into each other's tables. */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openImage } from '../../graph.ts';
import { openFile } from '../../storage/file.ts';
import { noise, same } from '../../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuSame, testFolder } from '../../testing/qemu.ts';
import { SlowStorage } from '../../testing/slow.ts';

const at = testFolder();
const SIZE = 2 << 20;

it.each(['cluster_size=512', 'cluster_size=64k', 'extended_l2=on,cluster_size=16k'])(
  '%s',
  async (options) => {
    const path = at('slow.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, String(SIZE));
    const storage = new SlowStorage(openFile(path, { readOnly: false }));
    // A cache of the smallest size, so that tables come and go while others wait.
    const limits = { mappingCacheBytes: 1, refcountCacheBytes: 1 };
    const { node } = await openImage(storage, { readOnly: false, format: 'qcow2', limits });
    const model = new Uint8Array(SIZE);
    // Requests of one round lie apart from each other, as a careful guest's do; they share tables.
    const width = SIZE / 64;
    for (let round = 0; round < 4; round++) {
      const requests: Promise<void>[] = [];
      for (let lane = 0; lane < 64; lane++) {
        const offset = lane * width + ((lane * 977 + round * 131) % 9000);
        const length = 500 + ((lane * 389 + round * 1777) % 15_000);
        const kind = (lane + round) % 5;
        if (kind === 3) {
          model.fill(0, offset, offset + length);
          requests.push(Promise.resolve(node.writeZeroes(offset, length, lane % 2 === 0)));
        } else if (kind === 4) {
          const expected = model.slice(offset, offset + length);
          const target = new Uint8Array(length);
          requests.push(
            Promise.resolve(node.read(offset, target)).then(() => expect(same(target, expected)).toBe(true)),
          );
        } else {
          const bytes = noise(length, lane * 10 + round);
          model.set(bytes, offset);
          requests.push(Promise.resolve(node.write(offset, bytes)));
        }
        if (lane % 20 === 19) requests.push(Promise.resolve(node.flush()));
      }
      await Promise.all(requests);
    }
    const got = new Uint8Array(SIZE);
    await node.read(0, got);
    await node.close();
    expect(same(got, model)).toBe(true);
    const check = qemuCheck(path);
    expect([check['check-errors'], check.corruptions, check.leaks]).toEqual([0, undefined, undefined]);
    writeFileSync(at('model.raw'), model);
    expect(qemuSame(path, at('model.raw'))).toBe(true);
  },
);
