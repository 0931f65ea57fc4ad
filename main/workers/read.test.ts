import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImage, type OpenedImage } from '#engine/block/graph.ts';
import { readImage } from './read.ts';

let folder: string;
let path: string;
let image: OpenedImage;
const MIB = 1024 * 1024;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'platter-read-'));
  path = join(folder, 'a.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '4M']);
  execFileSync('qemu-io', ['-c', 'write -P 0x5a 0 64k', path], { stdio: 'ignore' });
  image = await openImage(path);
});
afterAll(async () => {
  await image.node.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('readImage', () => {
  it('guest: the disk; host: the file, from its magic on', async () => {
    const { node } = image;
    expect(await readImage(node, 'guest', 0, 4)).toEqual(new Uint8Array([0x5a, 0x5a, 0x5a, 0x5a]));
    expect(Buffer.from(await readImage(node, 'host', 0, 4)).toString('latin1')).toBe('QFI\u00fb');
    const file = readFileSync(path);
    expect(Buffer.from(await readImage(node, 'host', 0, MIB))).toEqual(file.subarray(0, MIB));
  });

  it('is shorter at the end and empty past it', async () => {
    const { node } = image;
    expect(await readImage(node, 'guest', 4 * MIB - 10, 512)).toEqual(new Uint8Array(10));
    expect(await readImage(node, 'guest', 4 * MIB, 512)).toHaveLength(0);
    expect(await readImage(node, 'guest', Number.MAX_SAFE_INTEGER, 512)).toHaveLength(0);
    const size = readFileSync(path).length;
    expect(await readImage(node, 'host', size - 3, 512)).toHaveLength(3);
    expect(await readImage(node, 'host', size, 512)).toHaveLength(0);
  });
});
