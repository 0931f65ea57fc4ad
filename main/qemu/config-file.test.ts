import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_CONFIG_BYTES } from '#contract/settings.ts';
import { readConfigFile } from './config-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

describe('readConfigFile', () => {
  it('answers the text as it is, under the name without the folder', async () => {
    const text = '[drive "磁盘"]\r\n  file = "a"\n';
    expect(await readConfigFile(file('vm.cfg', text))).toEqual({ name: 'vm.cfg', text });
    expect(await readConfigFile(file('empty.cfg', ''))).toEqual({ name: 'empty.cfg', text: '' });
  });

  it('reads 1 MiB and not a byte more', async () => {
    const most = await readConfigFile(file('most.cfg', '#'.repeat(MAX_CONFIG_BYTES)));
    expect(most.text).toHaveLength(MAX_CONFIG_BYTES);
    await expect(readConfigFile(file('more.cfg', '#'.repeat(MAX_CONFIG_BYTES + 1)))).rejects.toMatchObject({
      code: 'config.too-large',
      context: { image: 'more.cfg' },
    });
  });

  it('refuses what is no text', async () => {
    for (const bytes of [Uint8Array.of(0x51, 0x46, 0x49, 0xfb), Uint8Array.of(0x61, 0, 0x62)])
      await expect(readConfigFile(file('disk.qcow2', bytes))).rejects.toMatchObject({
        code: 'config.not-text',
      });
  });

  it('refuses what is no file, and does not wait for a pipe', async () => {
    await expect(readConfigFile(folder)).rejects.toMatchObject({ code: 'config.not-a-file' });
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await expect(readConfigFile(join(folder, 'pipe'))).rejects.toMatchObject({ code: 'config.not-a-file' });
  });

  it('says when the file may not be read', async () => {
    const path = file('secret.cfg', '');
    chmodSync(path, 0o000);
    // Nothing is hidden from root.
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65_534);
    try {
      await expect(readConfigFile(path)).rejects.toMatchObject({
        code: 'config.no-permission',
        context: { image: 'secret.cfg', errno: 'EACCES' },
      });
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  it('says what the system says, and names no folder', async () => {
    const failure: unknown = await readConfigFile(join(folder, 'gone.cfg')).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'config.cannot-read',
      context: { image: 'gone.cfg', errno: 'ENOENT' },
    });
    expect(String(failure)).not.toContain(folder);
  });
});
