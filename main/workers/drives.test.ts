import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labConfigSchema } from '#contract/calls.ts';
import type { BindingMode } from '#contract/settings.ts';
import { denyAll } from '#engine/block/gate.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import * as v from 'valibot';
import type { LabBuild } from '../processes/protocol.ts';
import { closeDrives, driveFormat, openDrives } from './drives.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-drives-'));
  path = join(folder, 'a.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '4M']);
  execFileSync('qemu-io', ['-c', 'write -P 0x5a 0 64k', path], { stdio: 'ignore' });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function build(line: string, ...bindings: [driveId: string, mode: BindingMode][]): LabBuild {
  const workload = { rw: 'read', bs: 4096, iodepth: 1, numberIos: 1 };
  const config = v.parse(labConfigSchema, {
    line,
    bindings: bindings.map(([driveId, mode]) => ({ driveId, image: 'img-1', mode })),
    workload,
    qemuVersion: '7.2',
  });
  return { config, passphrases: {}, files: [{ handle: 'img-1', path }] };
}
const open = (b: LabBuild) => openDrives(b, parseCommandLine(b.config.line), () => denyAll);
const LINE = '-drive id=d0,if=none,file=x,format=qcow2';

describe('openDrives', () => {
  it('overlay: the guest may write and sees it, the file stays as it was', async () => {
    const before = readFileSync(path);
    const drives = await open(build(LINE, ['d0', 'overlay']));
    const node = drives.get('d0');
    expect(node?.readOnly).toBe(false);
    await node?.write(0, new Uint8Array(512).fill(0x77));
    const target = new Uint8Array(1024);
    await node?.read(0, target);
    expect([target[0], target[512]]).toEqual([0x77, 0x5a]);
    await closeDrives(drives);
    expect(readFileSync(path)).toEqual(before);
  });

  it('read-only: writing is refused', async () => {
    const drives = await open(build(LINE, ['d0', 'read-only']));
    expect(drives.get('d0')?.readOnly).toBe(true);
    expect(() => drives.get('d0')?.write(0, new Uint8Array(512))).toThrow();
    await closeDrives(drives);
  });

  it('write: what the guest writes is in the file, and qemu-img finds nothing wrong', async () => {
    const drives = await open(build(LINE, ['d0', 'write']));
    await drives.get('d0')?.write(1024 * 1024, new Uint8Array(65_536).fill(0x99));
    await closeDrives(drives);
    execFileSync('qemu-img', ['check', '-q', path]);
    const out = execFileSync('qemu-io', ['-c', 'read -P 0x99 1M 64k', '-c', 'read -P 0x5a 0 64k', path], {
      encoding: 'utf8',
    });
    expect(out).not.toContain('verification failed');
  });

  it('takes the format that the line says, as QEMU does: raw gives the bytes of the file', async () => {
    const drives = await open(build('-drive id=d0,if=none,file=x,format=raw', ['d0', 'read-only']));
    expect(drives.get('d0')).toMatchObject({ driver: 'raw', virtualSize: readFileSync(path).length });
    await closeDrives(drives);
  });

  it('names the drive when its image does not open, and closes the others', async () => {
    const line = `${LINE} -drive id=d1,if=none,file=y,format=vdi`;
    await expect(open(build(line, ['d0', 'read-only'], ['d1', 'read-only']))).rejects.toMatchObject({
      context: { image: 'a.qcow2', option: 'd1' },
    });
  });
});

describe('driveFormat', () => {
  it('knows what each spelling says', () => {
    const line = parseCommandLine(
      '-drive id=probed,if=none,file=a -drive id=said,if=none,file=a,format=vmdk ' +
        '-blockdev driver=qcow2,node-name=plain,file.driver=file,file.filename=a ' +
        '-blockdev driver=throttle,node-name=slow,throttle-group=g,file.driver=qcow2,file.file.driver=file,file.file.filename=a ' +
        '-blockdev driver=file,node-name=proto,filename=a',
    );
    const formats = ['probed', 'said', 'plain', 'slow', 'proto', 'none'].map((id) => driveFormat(line, id));
    expect(formats).toEqual([undefined, 'vmdk', 'qcow2', 'qcow2', 'raw', undefined]);
  });
});
