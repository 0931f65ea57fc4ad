/** A file of a file system that goes away: QEMU's storage daemon serves it through FUSE, and is killed under whoever has it open. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Why there can be no such file here; undefined when there can. */
export function noFuse(): string | undefined {
  if (process.platform !== 'linux' || !existsSync('/dev/fuse')) return 'this system has no FUSE';
  if (process.getuid?.() !== 0) return 'mounting a file system here takes root';
  return undefined;
}

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
