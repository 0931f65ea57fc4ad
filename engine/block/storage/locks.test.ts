import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { allowAll } from '../gate.ts';
import { openImage } from '../graph.ts';
import { qemuImg, testFolder } from '../testing/qemu.ts';
import { imageHolders } from './locks.ts';

const file = testFolder();
const path = file('disk.qcow2');
qemuImg('create', '-q', '-f', 'qcow2', path, '1M');

const started: ChildProcess[] = [];
afterEach(() => {
  for (const one of started.splice(0)) one.kill('SIGKILL');
});

/** qemu-io with the image open; it says so by answering a command. */
async function qemuIoHolding(...words: string[]): Promise<number> {
  const child = spawn('qemu-io', ['-f', 'qcow2', ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  child.stdin.write('length\n');
  for await (const chunk of child.stdout) if (String(chunk).includes('1 MiB')) break;
  return child.pid ?? -1;
}

/** A virtual machine, not started, with the image as its disk. */
async function machineHolding(image: string): Promise<number> {
  const drive = `file=${image},format=qcow2,if=virtio`;
  const words = ['-S', '-display', 'none', '-nodefaults', '-drive', drive, '-qmp', 'stdio', '-accel', 'tcg'];
  const child = spawn('qemu-system-x86_64', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  await once(child.stdout, 'data');
  return child.pid ?? -1;
}

describe.runIf(process.platform === 'linux')('an image that another process has open', () => {
  it('names a qemu-io that writes, and nobody once it is gone', async () => {
    expect(imageHolders(path)).toEqual([]);
    const pid = await qemuIoHolding(path);
    expect(imageHolders(path)).toEqual([{ pid, command: 'qemu-io', writes: true, keepsWritersOut: true }]);
    const [child] = started;
    child.kill();
    await once(child, 'exit');
    expect(imageHolders(path)).toEqual([]);
  });

  it('tells a reader from a writer', async () => {
    const pid = await qemuIoHolding('-r', path);
    expect(imageHolders(path)).toEqual([{ pid, command: 'qemu-io', writes: false, keepsWritersOut: true }]);
    const { node, info } = await openImage(path, { share: false });
    await node.close();
    expect(info.writers).toBeUndefined();
    expect(() => openImage(path, { readOnly: false })).toThrow(
      expect.objectContaining({ code: 'storage.held' }),
    );
  });

  it('is opened to be read, with who writes, and never to be written', async () => {
    const pid = await machineHolding(path);
    const who = `qemu-system-x86, pid ${pid}`;
    const { node, info } = await openImage(path);
    await node.close();
    expect(info.writers).toEqual([who]);
    const held = expect.objectContaining({
      code: 'storage.held',
      context: expect.objectContaining({ value: who }),
    });
    expect(() => openImage(path, { readOnly: false })).toThrow(held);
    expect(() => openImage(path, { share: false })).toThrow(held);
    const other = file('other.qcow2');
    copyFileSync(path, other);
    expect(imageHolders(other)).toEqual([]);
  });

  it('is no backing file for those who want it undisturbed', async () => {
    const overlay = file('overlay.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', 'disk.qcow2', overlay);
    await qemuIoHolding(path);
    expect(() => openImage(overlay, { share: false, gate: allowAll })).toThrow(
      expect.objectContaining({ code: 'storage.held' }),
    );
    const { node } = await openImage(overlay, { gate: allowAll });
    await node.close();
  });
});
