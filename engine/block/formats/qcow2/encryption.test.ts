/** LUKS inside qcow2, in both directions with QEMU, and formats inside formats. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { patiently } from '../../../../tests/support/patiently.ts';
import { openImage } from '../../graph.ts';
import { convert } from '../../jobs/convert.ts';
import { createImage } from '../../jobs/create.ts';
import { FormatNode } from '../../access.ts';
import { mapPage } from '../../map.ts';
import { NodeStorage } from '../../storage/node-storage.ts';
import { noise } from '../../testing/bytes.ts';
import { qemuImg, testFolder } from '../../testing/qemu.ts';

const at = testFolder();
const PASS = 'open sesame';
const SECRET = ['--object', `secret,id=s0,data=${PASS}`];
const secret = (): string => PASS;
const code = (expected: string): Error => expect.objectContaining({ code: expected });
const LUKS = { 'encrypt.format': 'luks', 'encrypt.key-secret': PASS, 'encrypt.iter-time': 10 };

const imageOpts = (name: string): string =>
  `driver=qcow2,file.filename=${at(name)},encrypt.format=luks,encrypt.key-secret=s0`;

/** Output of qemu-img or qemu-io on encrypted images. */
function qemu(program: 'qemu-img' | 'qemu-io', ...words: string[]): string {
  return patiently(() =>
    execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
  );
}

function qemuIo(name: string, ...commands: string[]): string {
  const said = qemu(
    'qemu-io',
    ...SECRET,
    '--image-opts',
    imageOpts(name),
    ...commands.flatMap((command) => ['-c', command]),
  );
  if (/failed|error|Pattern verification/i.test(said)) throw new Error(said);
  return said;
}

/** The disk as qemu-img sees it. */
function disk(name: string): Buffer {
  qemu('qemu-img', 'convert', ...SECRET, '--image-opts', imageOpts(name), '-O', 'raw', at('disk.raw'));
  return readFileSync(at('disk.raw'));
}

/** Throws unless QEMU finds it sound, without leaks. */
function sound(name: string): void {
  qemu('qemu-img', 'check', '-q', ...SECRET, '--image-opts', imageOpts(name));
}

function qemuCreate(name: string, size: string, more = ''): void {
  const options = `encrypt.format=luks,encrypt.key-secret=s0,encrypt.iter-time=10${more}`;
  qemu('qemu-img', 'create', '-q', ...SECRET, '-f', 'qcow2', '-o', options, at(name), size);
}

describe.each([
  ',extended_l2=on',
  ',cluster_size=4k,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256',
])('made by QEMU with %s', (more) => {
  it('reads, and is written so that QEMU reads it', async () => {
    qemuCreate('theirs.qcow2', '4M', more);
    qemuIo('theirs.qcow2', 'write -P 7 100k 1M', 'write -z 300k 100k', 'write -P 9 3M 512');
    const { node, info } = await openImage(at('theirs.qcow2'), { secret, readOnly: false });
    expect(info.encrypted).toBe(true);
    const before = new Uint8Array(4 << 20);
    await node.read(0, before);
    const expected = disk('theirs.qcow2');
    expect(expected.equals(before)).toBe(true);
    // In place, on new clusters, over zeroes, on parts of sectors.
    for (const [offset, length] of [
      [150_000, 70_000],
      [310_011, 33],
      [2_000_001, 100_007],
      [(3 << 20) + 5, 9],
      [(4 << 20) - 700, 700],
    ]) {
      const bytes = noise(length, offset);
      await node.write(offset, bytes);
      expected.set(bytes, offset);
    }
    await node.writeZeroes(900_000, 200_000);
    expected.fill(0, 900_000, 1_100_000);
    await node.close();
    expect(disk('theirs.qcow2').equals(expected)).toBe(true);
    sound('theirs.qcow2');
  });
});

describe('made here', () => {
  it('opens in QEMU, whose writes we read', async () => {
    await createImage(at('ours.qcow2'), { format: 'qcow2', size: 8 << 20, create: LUKS });
    sound('ours.qcow2');
    expect(disk('ours.qcow2').every((byte) => byte === 0)).toBe(true);
    qemuIo('ours.qcow2', 'write -P 3 70k 200k');
    const { node } = await openImage(at('ours.qcow2'), { secret });
    const bytes = new Uint8Array(1 << 20);
    await node.read(0, bytes);
    await node.close();
    expect([bytes[71_679], bytes[71_680], bytes[276_479], bytes[276_480]]).toEqual([0, 3, 3, 0]);
    // What lies in the file is not what the guest wrote.
    expect(readFileSync(at('ours.qcow2')).includes(Buffer.alloc(512, 3))).toBe(false);
  });

  it('takes the contents of a raw image, and gives them back', async () => {
    const bytes = noise(3 << 20, 5);
    bytes.fill(0, 1 << 20, 2 << 20);
    writeFileSync(at('in.raw'), bytes);
    for (const create of [
      { ...LUKS, cluster_size: 4096 },
      { ...LUKS, preallocation: 'metadata' },
    ]) {
      const source = await openImage(at('in.raw'), { format: 'raw' });
      await convert(source.node, at('filled.qcow2'), { format: 'qcow2', create, overwrite: true });
      await source.node.close();
      expect(disk('filled.qcow2').equals(bytes)).toBe(true);
      sound('filled.qcow2');
      const { node } = await openImage(at('filled.qcow2'), { secret });
      await convert(node, at('back.raw'), { overwrite: true });
      await node.close();
      expect(readFileSync(at('back.raw')).equals(bytes)).toBe(true);
    }
  });

  it('is told of as by qemu-img, and mapped without offsets', async () => {
    const { node, info } = await openImage(at('filled.qcow2'), { secret });
    const theirs = JSON.parse(qemuImg('info', '--output=json', at('filled.qcow2')))['format-specific'].data;
    expect(info.formatSpecific['encrypt.format']).toBe(theirs.encrypt.format);
    expect(info.formatSpecific['encrypt.uuid']).toBe(theirs.encrypt.uuid);
    expect(info.formatSpecific['encrypt.payload-offset']).toBe(theirs.encrypt['payload-offset']);
    const { extents } = await mapPage(node);
    expect(extents.filter(({ data }) => data).map(({ offset }) => offset)).toContain(undefined);
    await node.close();
  });
});

it('stays locked without a passphrase, and says when it is wrong', async () => {
  const { node } = await openImage(at('ours.qcow2'));
  const blank = new Uint8Array(512);
  expect(() => node.read(80_000, blank)).toThrow(code('luks.locked'));
  await node.close();
  await expect(async () => openImage(at('ours.qcow2'), { secret: () => 'sesame' })).rejects.toEqual(
    code('luks.wrong-passphrase'),
  );
});

it('any format over any storage: qcow2 over LUKS over a stretch of a raw file', async () => {
  const bytes = noise(1 << 20, 11);
  writeFileSync(at('inner.raw'), bytes);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', at('inner.raw'), at('inner.qcow2'));
  const inner = readFileSync(at('inner.qcow2'));
  await createImage(at('box.luks'), {
    format: 'luks',
    size: inner.length,
    create: { 'key-secret': PASS, 'iter-time': 10 },
  });
  const box = await openImage(at('box.luks'), { secret, readOnly: false });
  await box.node.write(0, inner);
  await box.node.close();
  const outer = Buffer.concat([Buffer.alloc(70_000), readFileSync(at('box.luks')), Buffer.alloc(5000)]);
  writeFileSync(at('outer.raw'), outer);
  const raw = await openImage(at('outer.raw'), { format: 'raw', readOnly: false });
  const part = { offset: 70_000, length: outer.length - 75_000 };
  const locked = new NodeStorage(raw.node, part);
  const middle = await openImage(locked, { secret, readOnly: false });
  const top = await openImage(new NodeStorage(middle.node), { readOnly: false });
  expect([top.info.format, top.node.virtualSize]).toEqual(['qcow2', 1 << 20]);
  const read = new Uint8Array(1 << 20);
  await top.node.read(0, read);
  expect(Buffer.from(bytes).equals(read)).toBe(true);
  await top.node.write(5000, Uint8Array.of(1, 2, 3));
  await top.node.close();
  // The same with QEMU, which must find what was written.
  const file = `file.file.driver=raw,file.file.offset=70000,file.file.size=${part.length},file.file.file.filename=${at('outer.raw')}`;
  const opts = `driver=qcow2,file.driver=luks,file.key-secret=s0,${file}`;
  // QEMU wants the offset of a raw node at a sector; where ours is not, the file is moved.
  writeFileSync(at('moved.raw'), readFileSync(at('outer.raw')).subarray(70_000, 70_000 + part.length));
  const moved = opts
    .replace('file.file.offset=70000', 'file.file.offset=0')
    .replace('outer.raw', 'moved.raw');
  qemu('qemu-img', 'convert', ...SECRET, '--image-opts', moved, '-O', 'raw', at('stack.raw'));
  bytes.set([1, 2, 3], 5000);
  expect(readFileSync(at('stack.raw')).equals(bytes)).toBe(true);
  expect(top.node).toBeInstanceOf(FormatNode);
});
