/** One disk into every format that can be written, and read there by QEMU. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { convert } from '../jobs/convert.ts';
import { expectSameBytes, openPath, pattern, readAll } from './shared/testing/conformance.ts';
import { qemuImg, Scratch, tool } from './shared/testing/oracle.ts';
import { allowAll } from '../gate.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

/** 6 MiB with holes of all sizes; a geometry that VHD can hold. */
function source(): Uint8Array {
  const bytes = pattern(6 << 20, 3);
  bytes.fill(0, 100_000, 1_200_000);
  bytes.fill(0, 3 << 20, 5 << 20);
  for (let at = 0; at < 200_000; at += 8192) bytes.fill(0, at, at + 4096);
  return bytes;
}

const TARGETS: [string, Record<string, string | boolean>][] = [
  ['vdi', {}],
  ['vpc', { force_size: true }],
  ['vpc', { force_size: true, subformat: 'fixed' }],
  ['vhdx', {}],
  ['vmdk', {}],
  ['vmdk', { subformat: 'monolithicFlat' }],
  ['vmdk', { subformat: 'twoGbMaxExtentSparse' }],
  ['vmdk', { subformat: 'twoGbMaxExtentFlat' }],
  ['vmdk', { subformat: 'streamOptimized' }],
  ['qed', {}],
  ['parallels', {}],
];

describe('convert', () => {
  const raw = scratch.path('source.raw');
  writeFileSync(raw, source());

  it.each(TARGETS)('to %s %j', async (format, create) => {
    const from = await openPath(raw, { format: 'raw' });
    const path = scratch.fresh(`target.${format}`);
    await convert(from, path, { format, create });
    await from.close();
    expect(tool('qemu-img', ['compare', '-f', 'raw', '-F', format, raw, path]).stdout).toBe(
      'Images are identical.\n',
    );
    const node = await openPath(path, { format, gate: allowAll });
    expectSameBytes(await readAll(node), source());
    await node.close();
  });

  it('to luks, zeroes and all', async () => {
    const from = await openPath(raw, { format: 'raw' });
    const path = scratch.path('target.luks');
    await convert(from, path, { format: 'luks', create: { 'key-secret': 'open sesame', 'iter-time': 1 } });
    await from.close();
    const out = scratch.path('by-qemu.raw');
    const object = ['--object', 'secret,id=s0,data=open sesame'];
    qemuImg(
      'convert',
      ...object,
      '--image-opts',
      '-O',
      'raw',
      `driver=luks,key-secret=s0,file.filename=${path}`,
      out,
    );
    expect(tool('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', raw, out]).stdout).toBe(
      'Images are identical.\n',
    );
  });

  it('leaves none of its files behind when it is cancelled', async () => {
    const from = await openPath(raw, { format: 'raw' });
    const before = readdirSync(scratch.folder);
    const stop = new AbortController();
    const path = scratch.path('cancelled.vmdk');
    const job = convert(from, path, {
      format: 'vmdk',
      create: { subformat: 'twoGbMaxExtentFlat' },
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(job).rejects.toMatchObject({ code: 'job.cancelled' });
    await from.close();
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(scratch.folder)).toEqual(before);
  });
});
