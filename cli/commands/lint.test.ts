import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { workFolder } from '../testing/qemu-img.ts';
import { platter } from '../testing/run-command.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const SAMPLE = join(import.meta.dirname, '../../resources/samples/line.txt');

/** Writes a line to a file and answers its path. */
function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

describe('the sample line', () => {
  it('has its two mistakes, each at its place and with its fix', async () => {
    const ran = await platter(['lint', SAMPLE]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(
      `${SAMPLE}:2:60: error: No drive has the id drive-virtio-disk1. Did you mean drive-virtio-disk2? [D01]`,
    );
    expect(ran.out).toContain(`${SAMPLE}:2:26: error: scsi=off is gone from newer QEMU`);
    expect(ran.out).toContain('^~~~~~~~~~~~~~~~~~\n');
    expect(ran.out.match(/^ {2}fix: /gm)).toHaveLength(2);
  });

  it('is accepted by the real QEMU once it is mended, as far as the image that is not there', async () => {
    const mended = await platter(['lint', '--fix', SAMPLE]);
    expect(mended).toMatchObject({ code: 0, err: '' });
    const image = join(folder, 'vm1.img');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M']);
    const words = mended.out
      .replaceAll('\\\n', ' ')
      .replace('/var/lib/libvirt/images/vm1.img', image)
      .trim()
      .split(/\s+/)
      .slice(1);
    const qemu = spawnSync(
      'qemu-system-x86_64',
      [...words, '-accel', 'tcg', '-display', 'none', '-nodefaults', '-S', '-monitor', 'stdio'],
      {
        input: 'info block\nquit\n',
        encoding: 'utf8',
      },
    );
    expect(qemu.stderr).toBe('');
    expect(qemu.status).toBe(0);
    expect(qemu.stdout).toContain('drive-virtio-disk2');
  });
});

it('finds nothing wrong with a sound line', async () => {
  const sound = file(
    'sound',
    'qemu-system-x86_64 -drive file=a.img,if=none,id=d0,format=raw -device virtio-blk-pci,drive=d0\n',
  );
  expect(await platter(['lint', sound])).toEqual({ code: 0, out: '', err: '' });
});

it('reads standard input and calls it so', async () => {
  const ran = await platter(['lint', '--brief', '-'], "-drive 'file=a.img");
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/^standard input:1:8: error: .* \[X01\]\n/);
});

it('prints JSON whose edits make the line sound', async () => {
  const ran = await platter(['lint', '--json', SAMPLE]);
  const problems = JSON.parse(ran.out);
  expect(problems.map(({ rule }: { rule: string }) => rule)).toEqual(['V12', 'D01']);
  const once = problems[0].fixes[0].result;
  const rest = JSON.parse((await platter(['lint', '--json', '-'], once)).out);
  expect(rest).toHaveLength(1);
  expect(JSON.parse((await platter(['lint', '--json', '-'], rest[0].fixes[0].result)).out)).toEqual([]);
});

it('asks for the version that the line is for', async () => {
  // scsi= went with QEMU 9.1.
  const old = file('old', '-drive if=none,id=d,file=a,format=raw -device virtio-blk-pci,drive=d,scsi=off\n');
  expect((await platter(['lint', '--brief', '--qemu', '9.1.2', old])).out).toContain('[V12]');
  expect((await platter(['lint', '--brief', '--qemu', '7.2', old])).out).not.toContain('error');
  expect(await platter(['lint', '--qemu', 'new', old])).toMatchObject({ code: 2, out: '' });
});

describe('what cannot be read', () => {
  it.each([
    ['nothing there', join(folder, 'missing'), 'no such file or directory'],
    ['a directory', join(folder, 'folder'), 'directory'],
  ])('%s', async (_, path, message) => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    const ran = await platter(['lint', path]);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain(`platter: cannot read ${path}: `);
    expect(ran.err).toContain(message);
  });
});

it('reads what -readconfig names when it is asked to', async () => {
  const config = file('vm.cfg', '[drive "d"]\n  file = "a"\n  if = "none"\n  format = "rawx"\n');
  const line = file(
    'config.sh',
    `-readconfig ${config} -device virtio-blk-pci,drive=d -device nvme,drive=e,serial=1\n`,
  );
  expect(await platter(['lint', '--brief', line])).toEqual({ code: 0, out: '', err: '' });
  const ran = await platter(['lint', '--brief', '--read-config', line]);
  expect(ran.out).toContain('[D01]');
  expect(ran.out).toContain('rawx');
  const gone = file('gone.sh', `-readconfig ${join(folder, 'gone.cfg')}\n`);
  expect(await platter(['lint', '--read-config', gone])).toMatchObject({ code: 2, out: '' });
});
