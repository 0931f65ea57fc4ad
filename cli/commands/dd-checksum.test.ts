/** `dd` beside qemu-img dd, `checksum` beside sha256sum and the vectors of BLAKE3. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pressControlC, platter } from '../testing/run-command.ts';
import { qemuImg, qemuIo, workFolder } from '../testing/qemu-img.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'base.qcow2', '1M');
  qemuIo(folder, 'qcow2', 'base.qcow2', 'write -P 1 0 1M');
  qemuImg(folder, 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'base.qcow2', 'top.qcow2', '3M');
  qemuIo(folder, 'qcow2', 'top.qcow2', 'write -P 2 100k 3k', 'write -z 512k 64k', 'write -P 3 2M 4k');
  writeFileSync(
    at('odd.raw'),
    Uint8Array.from({ length: 100_001 }, (_, index) => index % 251),
  );
});

describe('dd', () => {
  it.each([
    [['if=top.qcow2', 'of=out']],
    [['bs=1M', 'count=1', 'if=top.qcow2', 'of=out']],
    [['-O', 'qcow2', 'bs=64k', 'skip=3', 'if=top.qcow2', 'of=out']],
    [['-O', 'vmdk', 'bs=64k', 'skip=3', 'count=20', 'if=top.qcow2', 'of=out']],
    [['bs=1000', 'skip=7', 'count=1500', 'if=top.qcow2', 'of=out']],
    [['-f', 'raw', 'if=odd.raw', 'of=out', 'bs=777', 'skip=2']],
    [['-f', 'raw', 'if=odd.raw', 'of=out', 'bs=1k', 'skip=97']],
    [['-f', 'raw', 'if=odd.raw', 'of=out', 'bs=1k', 'skip=200']],
    [['-f', 'raw', 'if=odd.raw', 'of=out', 'bs=1k', 'skip=5', 'count=3']],
    [['-f', 'raw', 'if=odd.raw', 'of=out', 'bs=1k', 'count=0']],
  ])('%s', async (words) => {
    const theirs = words.map((word) => (word === 'of=out' ? 'of=theirs.img' : word));
    const ours = words.map((word) =>
      word.replace(/^if=/, `if=${folder}/`).replace('of=out', `of=${at('ours.img')}`),
    );
    const real = spawnSync('qemu-img', ['dd', ...theirs], { cwd: folder, encoding: 'utf8' });
    const here = await platter(['dd', '--follow', ...ours]);
    expect({ code: here.code, out: here.out }).toEqual({ code: real.status, out: real.stdout });
    expect(here.err.includes('cannot skip')).toBe(real.stderr.includes('cannot skip'));
    const format = words[0] === '-O' ? words[1] : 'raw';
    const compared = spawnSync(
      'qemu-img',
      ['compare', '-f', format, '-F', format, 'ours.img', 'theirs.img'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    expect(compared.stdout).toBe('Images are identical.\n');
    // QEMU rounds disks up to whole sectors; ours end where they end.
    const size = statSync(at('ours.img')).size;
    if (format === 'raw') expect(Math.ceil(size / 512) * 512).toBe(statSync(at('theirs.img')).size);
  });

  it('says what it does not understand, and never reads over itself', async () => {
    const path = at('odd.raw');
    expect((await platter(['dd', `if=${path}`, `of=${at('x')}`, 'seek=3'])).code).toBe(2);
    expect((await platter(['dd', `if=${path}`, 'bs=3'])).code).toBe(2);
    expect((await platter(['dd', `if=${path}`, `of=${at('x')}`, 'bs=0'])).err).toContain('bs');
    const same = await platter(['dd', '-f', 'raw', `if=${path}`, `of=${path}`]);
    expect([same.code, statSync(path).size]).toEqual([1, 100_001]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part') || name === 'x')).toEqual([]);
  });
});

describe('checksum', () => {
  it('is that of the converted raw image', async () => {
    qemuImg(folder, 'convert', '-O', 'raw', 'top.qcow2', 'top.raw');
    qemuImg(folder, 'convert', '-O', 'vhdx', 'top.qcow2', 'top.vhdx');
    const [sum] = execFileSync('sha256sum', [at('top.raw')], { encoding: 'utf8' }).split(' ');
    for (const name of ['top.qcow2', 'top.vhdx']) {
      const ours = await platter(['checksum', '--follow', at(name)]);
      expect([ours.code, ours.out]).toEqual([0, `${sum}  ${at(name)}\n`]);
    }
    const json = await platter(['checksum', '--json', '-f', 'raw', at('top.raw')]);
    expect(JSON.parse(json.out)).toEqual([
      { filename: at('top.raw'), algorithm: 'sha256', digest: sum, 'virtual-size': 3 << 20 },
    ]);
  });

  it('of BLAKE3 agrees with its published vectors', async () => {
    // The vectors' input: bytes 0 to 250, again and again. Length and digest from BLAKE3's test_vectors.json.
    const vectors: [number, string][] = [
      [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
      [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
      [102400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085'],
    ];
    for (const [length, digest] of vectors) {
      writeFileSync(
        at('vector.raw'),
        Uint8Array.from({ length }, (_, index) => index % 251),
      );
      const ours = await platter(['checksum', '-a', 'blake3', '-f', 'raw', at('vector.raw')]);
      expect(ours.out).toBe(`${digest}  ${at('vector.raw')}\n`);
    }
  });

  it('goes on with the next image, tells the failure, and can be interrupted', async () => {
    const ours = await platter(['checksum', at('gone.qcow2'), at('base.qcow2')]);
    expect([ours.code, ours.out.endsWith(`  ${at('base.qcow2')}\n`)]).toEqual([1, true]);
    qemuImg(folder, 'create', '-q', '-f', 'qcow2', 'huge.qcow2', '1T');
    const running = platter(['checksum', at('huge.qcow2')]);
    await pressControlC();
    expect((await running).code).toBe(130);
  });
});
