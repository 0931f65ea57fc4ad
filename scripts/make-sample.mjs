/**
 * `node scripts/make-sample.mjs`: makes `resources/samples/sample.qcow2`, the image that Platter comes with: small, and with one of
 * everything that is worth seeing: data, zero clusters, compressed clusters, clusters never written, a snapshot and what changed since.
 * Needs qemu-img, qemu-io and mke2fs. The result is committed; run this only to change it.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './lib/paths.mjs';
import { capture, run, script } from './lib/run.mjs';

/** The guest's disk, bytes. */
const SIZE = 64 * 1024 * 1024;
/** Where the ext4 file system ends: behind it only what qemu-io writes. */
const FILESYSTEM = 48 * 1024 * 1024;

const LETTER = `Dear visitor,

this file lies in an ext4 file system, which lies on a disk of 64 MiB, which lies in a qcow2 image. Most of the disk
was never written, so the image is much smaller than the disk. The file system's own tables are stored compressed,
some clusters are marked as zero, and a snapshot named "before" remembers how all this was a moment earlier.

Everything that you do to this image in the lab goes to a copy.
`;

await script(() => {
  const work = mkdtempSync(join(tmpdir(), 'platter-sample-'));
  try {
    const files = join(work, 'files');
    mkdirSync(join(files, 'etc'), { recursive: true });
    writeFileSync(join(files, 'README.txt'), LETTER);
    writeFileSync(join(files, 'etc/hostname'), 'platter\n');
    writeFileSync(join(files, 'etc/fstab'), '/dev/vda / ext4 defaults 0 1\n');

    const raw = join(work, 'disk.raw');
    const options = 'hash_seed=7a1cc0de-0000-4000-8000-000000000002';
    capture('mke2fs', [
      '-q',
      '-t',
      'ext4',
      '-L',
      'sample',
      '-U',
      '7a1cc0de-0000-4000-8000-000000000001',
      '-E',
      options,
      '-d',
      files,
      raw,
      `${FILESYSTEM / 1024}k`,
    ]);
    capture('qemu-img', ['resize', '-q', '-f', 'raw', raw, String(SIZE)]);

    const image = join(work, 'sample.qcow2');
    capture('qemu-img', [
      'convert',
      '-q',
      '-c',
      '-f',
      'raw',
      '-O',
      'qcow2',
      '-o',
      'compat=1.1,cluster_size=16k',
      raw,
      image,
    ]);
    const at = (/** @type {number} */ mebibytes) => String(mebibytes * 1024 * 1024);
    qemuIo(image, [`write -P 0x11 ${at(50)} 256k`, `write -z ${at(52)} 512k`, `write -P 0x22 ${at(54)} 64k`]);
    capture('qemu-img', ['snapshot', '-c', 'before', image]);
    qemuIo(image, [`write -P 0x33 ${at(50)} 64k`, `write -P 0x44 ${at(57)} 128k`, `discard ${at(54)} 64k`]);
    run('qemu-img', ['check', image]);
    cpSync(image, join(root, 'resources/samples/sample.qcow2'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});

/**
 * @param {string} image
 * @param {string[]} commands
 */
function qemuIo(image, commands) {
  capture('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), image]);
}
