/** Hostile inputs, images, line 11: a small file that claims the largest disk of its format costs little memory (CVE-2015-5162). */
import { openSync, closeSync, readSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PlatterError } from '../../errors.ts';
import { openImage } from '../graph.ts';
import { mapPage } from '../map.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';

const at = testFolder();
const MOST = 48 << 20;

/** The first MiB at most of the largest image that qemu-img makes. */
function head(format: string, options: string, size: string): Buffer {
  qemuImg('create', '-q', '-f', format, ...(options === '' ? [] : ['-o', options]), at(format), size);
  const bytes = Buffer.alloc(Math.min(1 << 20, statSync(at(format)).size));
  const fd = openSync(at(format), 'r');
  readSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
  return bytes;
}

it.each([
  ['qcow2', 'cluster_size=2M', '1P'],
  ['qcow2', 'cluster_size=4k', '4T'],
  ['qed', '', '60T'],
  ['vmdk', '', '60T'],
  ['vdi', '', '8T'],
  ['vhdx', 'block_size=32M', '63T'],
  ['vpc', '', '2000G'],
  ['parallels', '', '15T'],
  ['qcow', '', '1T'],
])('%s %s of %s', async (format, options, size) => {
  const bytes = head(format, options, size);
  const before = process.memoryUsage();
  try {
    const { node } = await openImage(new MemoryStorage(bytes), { format });
    const end = node.virtualSize - 512;
    for (const work of [
      () => node.read(0, new Uint8Array(512)),
      () => node.read(end, new Uint8Array(512)),
      () => mapPage(node, { limit: 2, end: 1 << 30 }),
      () => mapPage(node, { limit: 2, start: end }),
    ]) {
      try {
        await work();
      } catch (error) {
        // What the file does not hold is said to be missing.
        expect(error).toBeInstanceOf(PlatterError);
      }
    }
    await node.close();
  } catch (error) {
    expect(error).toBeInstanceOf(PlatterError);
  }
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(MOST);
  expect(after.heapUsed - before.heapUsed).toBeLessThan(MOST);
});
