/** Images made by the real qemu-img, in a folder of their own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class ImageFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'platter-images-'));

  /** A file's path in the folder. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** `qemu-img create -f FORMAT [-o OPTIONS] NAME SIZE`; with data in its first MiB when `pattern` is given. */
  create(
    name: string,
    format: string,
    options: { size?: string; o?: string; pattern?: number } = {},
  ): string {
    const more = options.o === undefined ? [] : ['-o', options.o];
    execFileSync('qemu-img', ['create', '-q', '-f', format, ...more, this.at(name), options.size ?? '16M']);
    if (options.pattern !== undefined) {
      const write = `write -P ${options.pattern} 0 1M`;
      execFileSync('qemu-io', ['-f', format, '-c', write, this.at(name)], { stdio: 'ignore' });
    }
    return this.at(name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
