/** An image that a qemu-io has open for writing: refused as qemu-img refuses it, and read with `-U`. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { qemuImg, workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
const image = join(folder, 'held.qcow2');
qemuImg(folder, 'create', '-q', '-f', 'qcow2', image, '1M');
const child = spawn('qemu-io', ['-f', 'qcow2', image], { stdio: ['pipe', 'pipe', 'inherit'] });

beforeAll(async () => {
  child.stdin.write('length\n');
  await once(child.stdout, 'data');
});
afterAll(async () => {
  child.kill();
  await once(child, 'exit');
  remove();
});

const lines: [string, ...string[]][] = [['info'], ['map'], ['check'], ['snapshot', '-l']];

describe.runIf(process.platform === 'linux')('an image that another process writes to', () => {
  it.each(lines)('%s asks for -U as qemu-img does', async (...words) => {
    const real = spawnSync('qemu-img', [...words, image], { encoding: 'utf8' });
    expect([real.status, real.stderr.includes('lock')]).toEqual([1, true]);
    const ours = await platter([...words, image]);
    expect([ours.code, ours.out]).toEqual([1, '']);
    expect(ours.err).toContain(`qemu-io, pid ${child.pid}`);
    expect(ours.err).toContain('-U');
    const shared = await platter([...words, '-U', image]);
    const theirs = spawnSync('qemu-img', [...words, '-U', image], { encoding: 'utf8' });
    expect([shared.code, shared.out]).toEqual([theirs.status, theirs.stdout]);
  });

  it('resize is refused, and there is no -U for it', async () => {
    const ours = await platter(['resize', image, '2M']);
    expect([ours.code, ours.out]).toEqual([1, '']);
    expect(ours.err).toContain(`qemu-io, pid ${child.pid}`);
  });
});
