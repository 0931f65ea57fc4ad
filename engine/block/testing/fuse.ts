/** A file of a file system that goes away: QEMU's storage daemon serves it through FUSE, and is killed under whoever has it open. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Whether there can be such a file here: it takes FUSE and the right to mount, which a container may lack even for root. */
export function canServe(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    closeSync(openSync('/dev/fuse', 'r+'));
    const rights = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1] ?? '0';
    return ((BigInt(`0x${rights}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
  } catch {
    return false;
  }
}

const CAP_SYS_ADMIN = 21n;

export class ServedFile {
  readonly path: string;
  readonly #daemon: ChildProcess;

  private constructor(path: string, daemon: ChildProcess) {
    this.path = path;
    this.#daemon = daemon;
  }

  /** Serves the bytes of `file` at `path`, which is made. */
  static async start(file: string, path: string): Promise<ServedFile> {
    writeFileSync(path, '');
    // The daemon connects to its monitor when everything else is ready.
    const address = `${path}.sock`;
    const ready = createServer().listen(address);
    const daemon = spawn(
      'qemu-storage-daemon',
      [
        '--blockdev',
        `driver=file,node-name=f,filename=${file},locking=off`,
        '--export',
        `type=fuse,id=e,node-name=f,mountpoint=${path},writable=on,growable=on`,
        '--chardev',
        `socket,id=c,path=${address}`,
        '--monitor',
        'chardev=c',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    daemon.stderr?.on('data', (chunk) => (said += chunk));
    const ended = once(daemon, 'exit').then(() => Promise.reject(new Error(`qemu-storage-daemon: ${said}`)));
    ended.catch(() => undefined);
    try {
      await Promise.race([once(ready, 'connection'), ended]);
    } finally {
      ready.close();
    }
    return new ServedFile(path, daemon);
  }

  /** The server is gone; the file system is still mounted. */
  async goAway(): Promise<void> {
    if (this.#daemon.exitCode !== null || this.#daemon.signalCode !== null) return;
    this.#daemon.kill('SIGKILL');
    await once(this.#daemon, 'exit');
  }

  async remove(): Promise<void> {
    await this.goAway();
    execFileSync('umount', ['--lazy', this.path]);
  }
}
