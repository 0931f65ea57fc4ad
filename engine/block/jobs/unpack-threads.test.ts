/** Compressed disks that are long enough for the worker threads, and for every buffer to be used several times. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { noise, same } from '../testing/bytes.ts';
import { qemuImg, qemuIo, qemuSame, testFolder } from '../testing/qemu.ts';
import { compareImages } from './compare.ts';
import { convert } from './convert.ts';

const at = testFolder();
const SIZE = 48 << 20;
const CLUSTER = 65536;

beforeAll(() => {
  const bytes = new Uint8Array(SIZE);
  for (let start = 0; start < SIZE; start += CLUSTER) {
    // Packs well, differs everywhere; some of the clusters cannot be packed at all.
    if ((start / CLUSTER) % 61 === 7) bytes.set(noise(CLUSTER, start), start);
    else
      for (let index = start; index < start + CLUSTER; index++)
        bytes[index] = ((index * 7) >> 5) ^ (start >> 16);
  }
  writeFileSync(at('disk.raw'), bytes);
});

describe.each(['zlib', 'zstd'])('%s', (type) => {
  const image = `${type}.qcow2`;

  beforeAll(() => {
    const words = ['convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type}`];
    qemuImg(...words, at('disk.raw'), at(image));
  });

  it('every byte comes out where it was', async () => {
    const { node } = await openImage(at(image));
    await convert(node, at('back.raw'), { overwrite: true });
    await node.close();
    expect(same(readFileSync(at('back.raw')), readFileSync(at('disk.raw')))).toBe(true);
  });

  it('packed again in the threads qemu reads the same', async () => {
    const { node } = await openImage(at(image));
    await convert(node, at('again.qcow2'), {
      format: 'qcow2',
      create: { compression_type: type },
      compress: true,
      overwrite: true,
    });
    await node.close();
    expect(qemuSame(at('again.qcow2'), at('disk.raw'))).toBe(true);
  });

  it('compares with what it was made of, and finds the one sector that differs', async () => {
    const open = async (): Promise<Awaited<ReturnType<typeof compareImages>>> => {
      const one = await openImage(at(image));
      const two = await openImage(at('changed.raw'), { format: 'raw' });
      const found = await compareImages(one.node, two.node);
      await one.node.close();
      await two.node.close();
      return found;
    };
    writeFileSync(at('changed.raw'), readFileSync(at('disk.raw')));
    expect(await open()).toEqual({ verdict: 'identical', sizesDiffer: false });
    const place = 33 * (1 << 20) + 70_001;
    qemuIo(at('changed.raw'), `write -P 238 ${place} 1`);
    expect(await open()).toEqual({ verdict: 'content', offset: place - (place % 512), sizesDiffer: false });
  });

  it('a cluster that is damaged is named', async () => {
    const copy = readFileSync(at(image));
    writeFileSync(at('damaged.qcow2'), copy);
    const fd = openSync(at('damaged.qcow2'), 'r+');
    // In the middle of the packed data; the tables lie before it.
    writeSync(fd, new Uint8Array(4096).fill(0xff), 0, 4096, Math.floor(copy.length / 2));
    closeSync(fd);
    const { node } = await openImage(at('damaged.qcow2'));
    await expect(convert(node, at('no.raw'))).rejects.toMatchObject({ code: 'qcow2.bad-compressed-cluster' });
    await node.close();
  });
});
