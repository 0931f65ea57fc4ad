import { copyFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { qemuCheck, qemuImg, qemuIo, testFolder } from '../testing/qemu.ts';
import { changeBitmap, readBitmap } from './bitmap.ts';

const file = testFolder();

async function bits(path: string, name: string): Promise<Uint8Array> {
  const { node } = await openImage(path);
  const found = await readBitmap(node, name);
  await node.close();
  return found.bits;
}

function bitmapsOf(path: string): unknown {
  const info = JSON.parse(qemuImg('info', '--output=json', path)) as {
    'format-specific': { data: { bitmaps?: unknown } };
  };
  return info['format-specific'].data.bitmaps;
}

describe('persistent bitmaps while the disk is written', () => {
  it.each(['off', 'on'])('record what QEMU would have recorded, extended_l2=%s', async (extended) => {
    const ours = file(`tracked-${extended}.qcow2`);
    const theirs = file(`tracked-theirs-${extended}.qcow2`);
    qemuImg('create', '-q', '-f', 'qcow2', '-o', `extended_l2=${extended}`, ours, '64M');
    qemuIo(ours, 'write -P 1 0 1M');
    qemuImg('bitmap', '--add', '-g', '4k', ours, 'fine');
    qemuImg('bitmap', '--add', ours, 'coarse');
    qemuImg('bitmap', '--add', '--disable', ours, 'frozen');
    copyFileSync(ours, theirs);
    qemuIo(theirs, 'write -P 7 12k 5k', 'write -P 8 40M 1', 'write -z 20M 3M', 'discard 512k 64k');
    const { node } = await openImage(ours, { readOnly: false });
    await node.write(12 << 10, new Uint8Array(5 << 10).fill(7));
    await node.write(40 << 20, new Uint8Array(1).fill(8));
    await node.writeZeroes(20 << 20, 3 << 20);
    await node.discard(512 << 10, 64 << 10);
    await node.close();
    expect(qemuCheck(ours)).toMatchObject({ 'check-errors': 0 });
    expect(qemuCheck(ours).leaks).toBeUndefined();
    expect(bitmapsOf(ours)).toEqual(bitmapsOf(theirs));
    for (const name of ['fine', 'coarse', 'frozen']) {
      const found = await bits(ours, name);
      expect(found.some((byte) => byte !== 0)).toBe(name !== 'frozen');
      expect(found).toEqual(await bits(theirs, name));
    }
  });

  it('are marked before the first write and left alone by an open without one', async () => {
    const path = file('marked.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', path, '1M');
    qemuImg('bitmap', '--add', path, 'b');
    const before = bitmapsOf(path);
    const first = await openImage(path, { readOnly: false });
    await first.node.close();
    expect(bitmapsOf(path)).toEqual(before);
    const { node } = await openImage(path, { readOnly: false });
    await node.write(0, new Uint8Array(512).fill(1));
    // As a program that died here would leave it.
    copyFileSync(path, file('died.qcow2'));
    await node.close();
    expect(bitmapsOf(file('died.qcow2'))).toEqual([
      { name: 'b', granularity: 65536, flags: ['in-use', 'auto'] },
    ]);
    expect(bitmapsOf(path)).toEqual(before);
  });
});

describe('changeBitmap', () => {
  it('adds, disables, merges, clears and removes as QEMU understands it', async () => {
    const path = file('changed.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', path, '64M');
    const { node } = await openImage(path, { readOnly: false });
    await changeBitmap(node, 'a', [{ kind: 'add', granularity: 4096 }]);
    await node.write(5 << 20, new Uint8Array(9000).fill(1));
    await changeBitmap(node, 'a', [{ kind: 'disable' }]);
    await changeBitmap(node, 'b', [{ kind: 'add' }, { kind: 'merge', from: 'a' }]);
    await expect(changeBitmap(node, 'b', [{ kind: 'add' }])).rejects.toMatchObject({ code: 'bitmap.exists' });
    await expect(changeBitmap(node, 'c', [{ kind: 'clear' }])).rejects.toMatchObject({
      code: 'bitmap.unknown',
    });
    await node.close();
    expect(bitmapsOf(path)).toEqual([
      { name: 'a', granularity: 4096, flags: [] },
      { name: 'b', granularity: 65536, flags: ['auto'] },
    ]);
    qemuImg('bitmap', '--add', '--merge', 'a', path, 'theirs');
    expect(await bits(path, 'theirs')).toEqual(await bits(path, 'b'));
    const again = await openImage(path, { readOnly: false });
    await changeBitmap(again.node, 'a', [{ kind: 'clear' }]);
    await changeBitmap(again.node, 'theirs', [{ kind: 'remove' }]);
    await changeBitmap(again.node, 'b', [{ kind: 'remove' }]);
    await again.node.close();
    expect((await bits(path, 'a')).every((byte) => byte === 0)).toBe(true);
    expect(qemuCheck(path).leaks).toBeUndefined();
    qemuImg('bitmap', '--remove', path, 'a');
    expect(bitmapsOf(path)).toBeUndefined();
  });
});
