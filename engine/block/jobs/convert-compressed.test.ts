/** Compressed targets: what is packed here, qemu-img unpacks, byte for byte, and finds clean. */
import { statSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../graph.ts';
import { noise } from '../testing/bytes.ts';
import { qemuCheck, qemuImg, qemuIo, qemuSame, testFolder } from '../testing/qemu.ts';
import { convert } from './convert.ts';

const at = testFolder();
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

beforeAll(() => {
  // Text that packs well, noise that does not, and holes, over a size that ends within a cluster.
  const bytes = new Uint8Array((3 << 20) + 512 * 5);
  for (let i = 0; i < 1 << 20; i++) bytes[i] = 32 + (((i * i) >> 7) % 64);
  bytes.set(noise(700_000, 7), (1 << 20) + 100);
  bytes.set([1, 2, 3], bytes.length - 3);
  writeFileSync(at('in.raw'), bytes);
});

async function toCompressed(
  name: string,
  format: string,
  create: Create & { subformat?: string; preallocation?: string },
): Promise<void> {
  const { node } = await openImage(at('in.raw'), { format: 'raw' });
  await convert(node, at(name), { format, create, compress: true, overwrite: true });
  await node.close();
}

type Create = Partial<Record<'compression_type' | 'compat' | 'extended_l2', string>> &
  Partial<Record<'cluster_size' | 'refcount_bits', number>>;

describe.each<Create>([
  { compression_type: 'zlib' },
  { compression_type: 'zstd' },
  { compression_type: 'zlib', cluster_size: 512 },
  { compression_type: 'zlib', cluster_size: 2 << 20 },
  { compression_type: 'zlib', refcount_bits: 1, cluster_size: 4096 },
  { compression_type: 'zlib', refcount_bits: 2, cluster_size: 4096 },
  { compression_type: 'zstd', extended_l2: 'on', cluster_size: 16384 },
  { compat: '0.10', cluster_size: 8192 },
])('qcow2 %j', (create) => {
  it('holds the same disk in less room', async () => {
    await toCompressed('out.qcow2', 'qcow2', create);
    expect(qemuSame(at('in.raw'), at('out.qcow2'))).toBe(true);
    const check = qemuCheck(at('out.qcow2'));
    expect([check['check-errors'], check.corruptions, check.leaks]).toEqual([0, undefined, undefined]);
    expect(check['compressed-clusters']).toBeGreaterThan(0);
    // The tables alone take more with the largest clusters.
    if (create.cluster_size !== 2 << 20) expect(statSync(at('out.qcow2')).size).toBeLessThan(2 << 20);
    const theirs = Object.entries(create).map(([key, value]) => `${key}=${value}`);
    qemuImg(
      'convert',
      '-c',
      '-f',
      'raw',
      '-O',
      'qcow2',
      '-o',
      theirs.join(),
      at('in.raw'),
      at('theirs.qcow2'),
    );
    // The same clusters are packed, and so are the same left as they are.
    expect(check['compressed-clusters']).toBe(qemuCheck(at('theirs.qcow2'))['compressed-clusters']);
  });

  it('is read back through the thread pool', async () => {
    const { node } = await openImage(at('theirs.qcow2'));
    await convert(node, at('back.raw'), { overwrite: true });
    await node.close();
    expect(qemuSame(at('back.raw'), at('in.raw'))).toBe(true);
  });
});

it('clusters may be overwritten afterwards by qemu and by us', async () => {
  await toCompressed('out.qcow2', 'qcow2', { cluster_size: 65536 });
  qemuIo(at('out.qcow2'), 'write -P 5 100000 200000');
  const { node } = await openImage(at('out.qcow2'), { readOnly: false });
  await node.write(30_000, new Uint8Array(100_000).fill(9));
  await node.close();
  qemuIo(at('out.qcow2'), 'read -P 9 30000 100000', 'read -P 5 130000 170000');
  expect(qemuCheck(at('out.qcow2')).corruptions).toBeUndefined();
  expect(qemuCheck(at('out.qcow2')).leaks).toBeUndefined();
});

it('streamOptimized vmdk is packed whether or not it is asked for', async () => {
  await toCompressed('out.vmdk', 'vmdk', { subformat: 'streamOptimized' });
  expect(qemuSame(at('in.raw'), at('out.vmdk'))).toBe(true);
  expect(statSync(at('out.vmdk')).size).toBeLessThan(2 << 20);
});

it('refuses what cannot be compressed', async () => {
  await expect(toCompressed('no.vdi', 'vdi', {})).rejects.toEqual(code('convert.cannot-compress'));
  await expect(toCompressed('no.qcow2', 'qcow2', { preallocation: 'metadata' })).rejects.toEqual(
    code('convert.not-together'),
  );
  await expect(toCompressed('no.vmdk', 'vmdk', {})).rejects.toEqual(code('convert.cannot-compress'));
});
