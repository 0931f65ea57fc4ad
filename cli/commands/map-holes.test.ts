/** Holes of sparse files: `map`, `measure`, `compare` and `convert` against qemu-img, where the temporary files are and on tmpfs. */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, qemuIo } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const MIB = 1 << 20;

/** A file of `size` bytes that holds `written` (offset, length) and nothing else. */
function sparse(path: string, size: number, ...written: [number, number][]): void {
  const fd = openSync(path, 'w');
  for (const [offset, length] of written) writeSync(fd, new Uint8Array(length).fill(7), 0, length, offset);
  closeSync(fd);
  truncateSync(path, size);
}

const write = (folder: string, format: string, name: string): void =>
  qemuIo(folder, format, name, 'write -P 1 1M 100k', 'write -z 2M 64k', 'write -P 2 5M 4k');

/** Name, format, and how it is made in a folder. */
const IMAGES: [string, string, (folder: string) => void][] = [
  [
    'middle.raw',
    'raw',
    (folder) => sparse(join(folder, 'middle.raw'), 16 * MIB, [MIB, 8192], [9 * MIB, MIB]),
  ],
  [
    'ends.raw',
    'raw',
    (folder) => sparse(join(folder, 'ends.raw'), 8 * MIB, [0, 4096], [8 * MIB - 4096, 4096]),
  ],
  ['one-byte.raw', 'raw', (folder) => sparse(join(folder, 'one-byte.raw'), 3 * MIB, [MIB + 77, 1])],
  ['odd-hole.raw', 'raw', (folder) => sparse(join(folder, 'odd-hole.raw'), 3 * MIB + 1049, [MIB, 4096])],
  ['odd-data.raw', 'raw', (folder) => sparse(join(folder, 'odd-data.raw'), MIB + 77, [MIB, 77])],
  ...['monolithicFlat', 'twoGbMaxExtentFlat', 'monolithicSparse'].map(
    (subformat): [string, string, (folder: string) => void] => [
      `${subformat}.vmdk`,
      'vmdk',
      (folder) => {
        qemuImg(
          folder,
          'create',
          '-q',
          '-f',
          'vmdk',
          '-o',
          `subformat=${subformat}`,
          `${subformat}.vmdk`,
          '8M',
        );
        write(folder, 'vmdk', `${subformat}.vmdk`);
      },
    ],
  ),
  [
    'fixed.vhd',
    'vpc',
    (folder) => {
      qemuImg(folder, 'create', '-q', '-f', 'vpc', '-o', 'subformat=fixed,force_size=on', 'fixed.vhd', '8M');
      write(folder, 'vpc', 'fixed.vhd');
    },
  ],
  ...['on', 'off'].map((fixed): [string, string, (folder: string) => void] => [
    `static-${fixed}.vdi`,
    'vdi',
    (folder) => {
      qemuImg(folder, 'create', '-q', '-f', 'vdi', '-o', `static=${fixed}`, `static-${fixed}.vdi`, '8M');
      write(folder, 'vdi', `static-${fixed}.vdi`);
    },
  ]),
  ...[
    'preallocation=metadata',
    'preallocation=metadata,cluster_size=4k',
    'preallocation=metadata,extended_l2=on',
    'preallocation=falloc',
    'preallocation=off',
  ].map((options, index): [string, string, (folder: string) => void] => [
    `${index}.qcow2`,
    'qcow2',
    (folder) => {
      qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', options, `${index}.qcow2`, '8M');
      write(folder, 'qcow2', `${index}.qcow2`);
    },
  ]),
  [
    'cut.qcow2',
    'qcow2',
    (folder) => {
      qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', 'cut.qcow2', '8M');
      write(folder, 'qcow2', 'cut.qcow2');
      // Data clusters behind the file's end read as zeroes.
      truncateSync(join(folder, 'cut.qcow2'), statSync(join(folder, 'cut.qcow2')).size - 3 * MIB - 4096);
    },
  ],
  [
    'data-file.qcow2',
    'qcow2',
    (folder) => {
      const options = 'data_file=data.bin,data_file_raw=on,preallocation=metadata';
      qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-o', options, 'data-file.qcow2', '8M');
      write(folder, 'qcow2', 'data-file.qcow2');
    },
  ],
  [
    'overlay.qcow2',
    'qcow2',
    (folder) => {
      sparse(join(folder, 'base.raw'), 6 * MIB, [MIB, 8192], [3 * MIB, MIB]);
      qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', 'overlay.qcow2', '8M');
      qemuIo(folder, 'qcow2', 'overlay.qcow2', 'write -P 1 2M 64k');
    },
  ],
];

/** Whether the library that calls lseek is in this process. */
const loaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('koffi'));

it.skipIf(process.platform !== 'linux')('costs nothing where nobody asks for holes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'platter-holes-'));
  const path = join(folder, 'sparse.raw');
  sparse(path, MIB, [4096, 4096]);
  for (const command of ['info', 'check']) await platter([command, '-f', 'raw', path]);
  expect(loaded()).toBe(false);
  await platter(['map', '-f', 'raw', path]);
  expect(loaded()).toBe(true);
  rmSync(folder, { recursive: true });
});

const places = [tmpdir(), '/dev/shm'].filter((place) => existsSync(place));

describe.skipIf(process.platform !== 'linux').each(places)('in %s', (place) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(place, 'platter-holes-'));
    for (const [, , make] of IMAGES) make(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(IMAGES)('%s as qemu-img maps and measures it', async (name, format) => {
    const path = join(folder, name);
    const json = await platter(['map', '--follow', '--output=json', '-f', format, path]);
    expect(json).toMatchObject({ code: 0, out: qemuImg(folder, 'map', '--output=json', '-f', format, path) });
    const text = await platter(['map', '--follow', '-f', format, path]);
    expect(text).toMatchObject({ code: 0, out: qemuImg(folder, 'map', '-f', format, path) });
    const measured = await platter(['measure', '--follow', '-O', 'qcow2', '-f', format, path]);
    expect(measured.out).toBe(qemuImg(folder, 'measure', '-O', 'qcow2', '-f', format, path));
  });

  it.each(place === places[0] ? IMAGES : [])('%s holds the same bytes in a copy', async (name, format) => {
    const path = join(folder, name);
    const copy = `${path}.copy`;
    expect(await platter(['convert', '--follow', '-f', format, '-O', 'qcow2', path, copy])).toMatchObject({
      code: 0,
    });
    qemuImg(folder, 'compare', '-f', format, '-F', 'qcow2', path, copy);
    const compared = await platter(['compare', '--follow', '-f', format, '-F', 'qcow2', path, copy]);
    expect(compared).toMatchObject({ code: 0 });
  });
});
