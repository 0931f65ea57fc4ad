import { writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import {
  expectReadsAsQemu,
  expectSameBytes,
  expectSurvives,
  openPath,
  pattern,
  readAll,
} from '../shared/testing/conformance.ts';
import { Scratch } from '../shared/testing/oracle.ts';
import { CLOOP_SCRIPT, cloopHeader } from './header.ts';
import { cloop } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

const BLOCK = 65536;

function made(blocks: Uint8Array[]): Uint8Array {
  const packed = blocks.map((block) => deflateSync(block));
  const tableBytes = (blocks.length + 1) * 8;
  const total = packed.reduce((sum, bytes) => sum + bytes.length, 0);
  const image = new Uint8Array(cloopHeader.size + tableBytes + total);
  image.set(cloopHeader.encode({ script: CLOOP_SCRIPT, block_size: BLOCK, n_blocks: blocks.length }));
  const view = new DataView(image.buffer);
  let at = cloopHeader.size + tableBytes;
  view.setBigUint64(cloopHeader.size, BigInt(at));
  packed.forEach((bytes, index) => {
    image.set(bytes, at);
    at += bytes.length;
    view.setBigUint64(cloopHeader.size + (index + 1) * 8, BigInt(at));
  });
  return image;
}

describe('cloop', () => {
  const blocks = [1, 2, 3, 4].map((seed) => pattern(BLOCK, seed));

  it('reads what QEMU reads', async () => {
    const path = scratch.fresh('disk.cloop');
    writeFileSync(path, made(blocks));
    const node = await openPath(path, { readOnly: false });
    expect([node.driver, node.readOnly]).toEqual(['cloop', true]);
    expectSameBytes(await readAll(node), Buffer.concat(blocks));
    await node.close();
    await expectReadsAsQemu(scratch, path, 'cloop', {}, false);
  });

  it('refuses a block that inflates to more than a block', async () => {
    const path = scratch.fresh('bomb.cloop');
    writeFileSync(path, made([new Uint8Array(16 << 20), blocks[1]]));
    const node = await openPath(path);
    await expect((async () => node.read(0, new Uint8Array(512)))()).rejects.toMatchObject({
      code: 'cloop.bad-compressed',
    });
    const second = new Uint8Array(512);
    await node.read(BLOCK, second);
    expectSameBytes(second, blocks[1].subarray(0, 512));
    await node.close();
  });

  it('survives hostile headers and offsets (CVE-2014-0143)', async () => {
    await expectSurvives(made(blocks), cloop, [
      [128, 60],
      [180, 2000],
    ]);
  });
});
