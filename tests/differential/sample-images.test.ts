/**
 * QEMU's own sample images, made by the programs whose formats they are (Virtual PC, Hyper-V, VMware, Parallels, bochs, …) or by a
 * fuzzer, against qemu-img: information, map, check and every byte. `npm test` fetches them (scripts/lib/samples.mjs).
 */
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MapExtent } from '../../contract/images.ts';
import { qemuCheck, testFolder } from '../../engine/block/testing/qemu.ts';
import { openImage } from '../../engine/block/graph.ts';
import type { BlockNode } from '../../engine/block/node.ts';
import { PlatterError } from '../../engine/errors.ts';
import { platterIn } from '../../cli/testing/run-command.ts';
import { samplesDir, samplesMissing } from '../../scripts/lib/samples.mjs';

const missing = samplesMissing();
if (missing !== undefined) console.log(`QEMU's sample images are not read here: ${missing}`);

const at = testFolder();
const samples = samplesDir();
const names = missing === undefined ? readdirSync(samples).toSorted() : [];

/** Made by a fuzzer: nobody opens them. */
const HOSTILE = ['afl5.img', 'afl9.vmdk'];
/** With a log to be replayed, which QEMU does only when it may write. */
const UNCLEAN = 'iotest-dirtylog-10G-4M.vhdx';
/** QEMU's drivers of these formats do not say where anything lies: one stretch of data, whatever is in it. */
const QEMU_HAS_NO_MAP = ['vhdx', 'dmg', 'bochs'];
/** Hashing the nothing of a larger disk takes longer than it is worth. */
const HASHED_WHOLE = 300 << 20;

/** qemu-img, where the samples are. What it says of modules that are not installed is no answer. */
function qemu(...words: string[]): { code: number | null; out: string } {
  const done = spawnSync('qemu-img', words, { cwd: samples, encoding: 'utf8', maxBuffer: 1 << 26 });
  return { code: done.status, out: done.stdout };
}

const platter = (...words: string[]): ReturnType<typeof platterIn> => platterIn(samples, words);

interface Info {
  format: string;
  'virtual-size': number;
}

const infoOf = (name: string): Info => JSON.parse(qemu('info', '--output=json', name).out) as Info;

/** QEMU's raw copy. */
function rawOf(name: string): string {
  const raw = at(`${name}.raw`);
  if (!existsSync(raw)) expect(qemu('convert', '-O', 'raw', name, raw).code).toBe(0);
  return raw;
}

const sound = names.filter((name) => !HOSTILE.includes(name) && name !== UNCLEAN);

describe.skipIf(missing !== undefined)('sample images', () => {
  it('are there', () => {
    expect(names).toEqual(expect.arrayContaining([...HOSTILE, UNCLEAN]));
    expect(sound.length).toBeGreaterThan(10);
  });

  it.each(sound)('%s: information', async (name) => {
    const theirs = JSON.parse(qemu('info', '--output=json', name).out) as Info;
    const ours = JSON.parse((await platter('info', '--output=json', name)).out) as Info;
    // QEMU reads a Parallels image's bitmaps and keeps them to itself.
    if (theirs.format === 'parallels') expect(ours).toMatchObject(theirs);
    else expect(ours).toEqual(theirs);
    if (theirs.format === 'parallels') return;
    expect((await platter('info', name)).out).toBe(qemu('info', name).out);
  });

  const disks = names.filter((name) => name.endsWith('.vhd'));
  it.each(disks)('%s: its two sizes', async (name) => {
    for (const calc of ['chs', 'current_size', 'auto']) {
      const words = [
        '--output=json',
        '--image-opts',
        `driver=vpc,force_size_calc=${calc},file.filename=${name}`,
      ];
      for (const command of ['info', 'map'])
        expect(await platter(command, ...words)).toMatchObject(qemu(command, ...words));
    }
  });

  it.each(sound)('%s: check', async (name) => {
    const theirs = qemu('check', '--output=json', name);
    const ours = await platter('check', '--output=json', name);
    expect(ours.code).toBe(theirs.code);
    // Of VMDK we count clusters, too.
    if (theirs.out !== '') expect(JSON.parse(ours.out)).toMatchObject(JSON.parse(theirs.out) as object);
  });

  it.each(sound)('%s: map and contents', async (name) => {
    const { format, 'virtual-size': size } = infoOf(name);
    const raw = rawOf(name);
    const theirs = JSON.parse(qemu('map', '--output=json', name).out) as MapExtent[];
    const ours = JSON.parse((await platter('map', '--output=json', name)).out) as MapExtent[];
    if (!QEMU_HAS_NO_MAP.includes(format)) expect(ours).toEqual(theirs);
    expect(ours.reduce((end, { start, length }) => (start === end ? end + length : NaN), 0)).toBe(size);

    const { node } = await openImage(join(samples, name));
    await expectAlike(node, ours, raw, join(samples, name));
    await node.close();
    if (size > HASHED_WHOLE) return;
    const sum = spawnSync('sha256sum', [raw], { encoding: 'utf8' }).stdout.split(' ')[0];
    expect((await platter('checksum', name)).out).toContain(sum);
  });

  it.each(sound)('%s: conversion', async (name) => {
    for (const to of ['raw', 'qcow2']) {
      const copy = at(`copy.${to}`);
      expect(await platter('convert', '-O', to, name, copy)).toMatchObject({ code: 0, err: '' });
      expect(qemu('compare', '-f', 'raw', '-F', to, rawOf(name), copy).code).toBe(0);
      expect(await platter('compare', '-F', to, name, copy)).toMatchObject({ code: 0 });
    }
    expect(qemuCheck(at('copy.qcow2'))).toMatchObject({ 'check-errors': 0 });
  });

  it(`${UNCLEAN}: its log, replayed in memory or in the file`, async () => {
    const [theirs, ours] = [at('theirs.vhdx'), at('ours.vhdx')];
    for (const copy of [theirs, ours]) copyFileSync(join(samples, UNCLEAN), copy);
    expect(qemu('info', UNCLEAN).code).toBe(1);
    expect(qemu('check', '-q', '-r', 'all', theirs).code).toBe(0);
    const raws = [at('theirs.raw'), at('ours.raw')];
    expect(qemu('convert', '-O', 'raw', theirs, raws[0]).code).toBe(0);
    expect(await platter('convert', '-O', 'raw', UNCLEAN, raws[1])).toMatchObject({ code: 0, err: '' });
    expect(qemu('compare', ...raws).code).toBe(0);
    expect(await platter('check', '-r', 'all', ours)).toMatchObject({ code: 0 });
    expect(qemuCheck(ours)).toMatchObject({ 'check-errors': 0 });
    // Beside the two headers, which carry GUIDs of whoever wrote last, it is the same file.
    expect(afterHeaders(ours).equals(afterHeaders(theirs))).toBe(true);
  });

  it.each(HOSTILE)('%s: refused, by both', async (name) => {
    for (const command of ['info', 'map', 'check', 'checksum']) {
      const ran = await platter(command, name);
      expect(ran).toMatchObject({ code: 1, out: '' });
      expect(ran.err).toMatch(/^platter: .* at offset \d+ /);
    }
    expect(qemu('info', name).code).toBe(1);
    await expect(async () => openImage(join(samples, name))).rejects.toBeInstanceOf(PlatterError);
  });
});

function afterHeaders(vhdx: string): Buffer {
  return readFileSync(vhdx).subarray(256 << 10);
}

/** Bytes compared at each end of a stretch. */
const PIECE = 1 << 16;

/**
 * Holds what the node reads, at both ends of every stretch of its map, against QEMU's raw copy; and the map against both: what it calls
 * zero reads as zeroes, what it gives an offset lies there.
 */
async function expectAlike(node: BlockNode, map: MapExtent[], raw: string, image: string): Promise<void> {
  const files = { raw: openSync(raw, 'r'), image: openSync(image, 'r') };
  const bytes = (file: keyof typeof files, position: number, length: number): Buffer => {
    const buffer = Buffer.alloc(length);
    readSync(files[file], buffer, 0, length, position);
    return buffer;
  };
  for (const { start, length, zero, offset } of map) {
    const piece = Math.min(PIECE, length);
    for (const inside of new Set([0, length - piece])) {
      const expected = bytes('raw', start + inside, piece);
      const read = Buffer.alloc(piece, 0xee);
      await node.read(start + inside, read);
      const where = `${piece} bytes at ${start + inside}`;
      expect(read.equals(expected), where).toBe(true);
      if (zero) expect(expected.equals(Buffer.alloc(piece)), where).toBe(true);
      else if (offset !== undefined)
        expect(bytes('image', offset + inside, piece).equals(expected), where).toBe(true);
    }
  }
  for (const file of Object.values(files)) closeSync(file);
}
