/**
 * `check`, `map`, `compare` and `checksum` against qemu-img (and sha256sum) on the same files, and opening a disk of 10 TiB whose L1
 * table is full. The peers are programs: what an empty start of each takes is subtracted.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkImage } from '#engine/block/check.ts';
import { Qcow2Driver } from '#engine/block/formats/qcow2/driver.ts';
import { openImage } from '#engine/block/graph.ts';
import { checksumImage } from '#engine/block/jobs/checksum.ts';
import { compareImages } from '#engine/block/jobs/compare.ts';
import { mapPage } from '#engine/block/map.ts';
import type { BenchLine } from './bench.ts';
import { cpuOf, emptyStart, inTurns, type Took } from './measure.ts';

export const name = 'image jobs';

const ROUNDS = 7;
const MIB = 1 << 20;

type Report = (line: BenchLine) => void;

export async function run(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'platter-bench-'));
  try {
    await jobs(folder, report);
    await large(folder, report);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function jobs(folder: string, report: Report): Promise<void> {
  const at = (file: string): string => join(folder, file);
  const qemu = (...args: string[]): void => void execFileSync('qemu-img', args, { maxBuffer: 1 << 30 });
  const start = emptyStart('qemu-img');
  // Every second cluster of 4 KiB: as many extents as clusters.
  qemu('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', at('holes.qcow2'), String(256 * MIB));
  const { node } = await openImage(at('holes.qcow2'), { readOnly: false });
  const cluster = new Uint8Array(4096).fill(1);
  for (let offset = 0; offset < 256 * MIB; offset += 8192) await node.write(offset, cluster);
  await node.close();
  qemu('create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', at('tables.qcow2'), '64G');
  qemu('create', '-q', '-f', 'qcow2', at('full.qcow2'), String(512 * MIB));
  execFileSync('qemu-io', ['-c', `write -P 90 0 ${512 * MIB}`, at('full.qcow2')], { stdio: 'ignore' });
  qemu('convert', '-O', 'raw', at('full.qcow2'), at('full.raw'));

  const line = async (
    what: string,
    ours: () => Promise<void>,
    theirs: [string, ...string[]],
    megabytes?: number,
  ): Promise<void> => {
    const [command, ...args] = theirs;
    const empty = command === 'qemu-img' ? start : emptyStart(command);
    const runTheirs = (): void => void execFileSync(command, args, { maxBuffer: 1 << 30 });
    const pair = await inTurns(ROUNDS, ours, runTheirs, empty);
    const figure = ({ wall }: Took): number => (megabytes === undefined ? wall * 1000 : megabytes / wall);
    report({
      what,
      ours: figure(pair.ours),
      theirs: figure(pair.theirs),
      peer: command === 'qemu-img' ? `qemu-img ${args[0]}` : command,
      unit: megabytes === undefined ? 'ms' : 'MiB/s',
      better: megabytes === undefined ? 'lower' : 'higher',
      cpu: cpuOf(pair),
    });
  };
  for (const [file, what] of [
    ['tables.qcow2', 'check of 64 GiB of tables'],
    ['holes.qcow2', 'check of 32768 scattered clusters'],
  ]) {
    await line(what, () => checked(at(file)), ['qemu-img', 'check', at(file)]);
  }
  await line('map of 65536 extents', () => mapped(at('holes.qcow2')), [
    'qemu-img',
    'map',
    '--output=json',
    at('holes.qcow2'),
  ]);
  await line(
    'compare of 512 MiB',
    () => compared(at('full.qcow2'), at('full.raw')),
    ['qemu-img', 'compare', at('full.qcow2'), at('full.raw')],
    512,
  );
  await line('sha256 of 512 MiB', () => summed(at('full.qcow2')), ['sha256sum', at('full.raw')], 512);
}

async function checked(path: string): Promise<void> {
  const { node } = await openImage(path);
  const { corruptions, leaks } = await checkImage(node);
  await node.close();
  if (corruptions + leaks > 0) throw new Error(`${path} is not sound`);
}

async function mapped(path: string): Promise<void> {
  const { node } = await openImage(path);
  const { extents } = await mapPage(node);
  await node.close();
  if (extents.length !== 65536) throw new Error(`${extents.length} extents`);
}

async function compared(left: string, right: string): Promise<void> {
  const [one, two] = [await openImage(left), await openImage(right, { format: 'raw' })];
  const { verdict } = await compareImages(one.node, two.node);
  await one.node.close();
  await two.node.close();
  if (verdict !== 'identical') throw new Error(verdict);
}

async function summed(path: string): Promise<void> {
  const { node } = await openImage(path);
  const digest = await checksumImage(node, 'sha256');
  await node.close();
  if (digest.length !== 64) throw new Error(digest);
}

/** A disk of 10 TiB: every entry of its L1 table leads to a table of its own, which is a hole of the file. */
async function large(folder: string, report: Report): Promise<void> {
  const path = join(folder, 'large.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '10T']);
  const fd = openSync(path, 'r+');
  const header = Buffer.alloc(104);
  readSync(fd, header, 0, header.length, 0);
  const entries = header.readUInt32BE(36);
  const first = 64 * MIB;
  const l1 = Buffer.alloc(entries * 8);
  for (let index = 0; index < entries; index++) {
    l1.writeBigUInt64BE((1n << 63n) | BigInt(first + index * 65536), index * 8);
  }
  writeSync(fd, l1, 0, l1.length, Number(header.readBigUInt64BE(40)));
  ftruncateSync(fd, first + entries * 65536);
  closeSync(fd);
  const command = `read ${9 * 2 ** 40} 4k`;
  const pair = await inTurns(
    ROUNDS,
    async () => {
      const { node } = await openImage(path);
      await node.read(9 * 2 ** 40, new Uint8Array(4096));
      await node.close();
    },
    () => void execFileSync('qemu-io', ['-r', '-f', 'qcow2', '-c', command, path]),
    emptyStart('qemu-io'),
  );
  report({
    what: 'open 10 TiB with a full L1 table and read 4 KiB',
    ours: pair.ours.wall * 1000,
    theirs: pair.theirs.wall * 1000,
    peer: 'qemu-io',
    unit: 'ms',
    better: 'lower',
  });
  const { node } = await openImage(path);
  const buffer = new Uint8Array(4096);
  // More tables than the cache holds, again and again.
  for (let index = 0; index < 200_000; index++)
    await node.read(((index * 7919 * MIB) % (10 * 2 ** 40)) + 4096, buffer);
  if (!(node.format instanceof Qcow2Driver)) throw new Error('no qcow2');
  report({
    what: 'metadata in memory after 200000 scattered reads of it',
    ours: node.format.state.mapping.heldBytes / MIB,
    theirs: 32,
    peer: "QEMU's l2-cache-size",
    unit: 'MiB',
    better: 'lower',
  });
  await node.close();
}
