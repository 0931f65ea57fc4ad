import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { capture, commandLine, Failure, requireNode, run, runAsync, runStatus, which } from './run.mjs';

const node = process.execPath;

describe('running programs', () => {
  it('throws when one fails, with what it said', () => {
    expect(() => run(node, ['-e', 'process.exit(3)'])).toThrow(/exit code 3/);
    expect(() => capture(node, ['-e', 'console.error("no such thing"); process.exit(1)'])).toThrow(
      /no such thing/,
    );
    expect(() => run('no-such-program-anywhere', [])).toThrow(Failure);
  });
  it('answers the exit code, and 128 + the number of the signal that ended it', async () => {
    expect(runStatus(node, ['-e', 'process.exit(7)'])).toBe(7);
    expect(runStatus(node, ['-e', 'process.kill(process.pid, "SIGKILL")'])).toBe(137);
    expect(await runAsync(node, ['-e', 'process.exit(7)'])).toBe(7);
    await expect(runAsync('no-such-program-anywhere', [])).rejects.toThrow(Failure);
  });
});

describe('which', () => {
  it('finds what can be executed in a folder of PATH', () => {
    const folder = mkdtempSync(join(tmpdir(), 'platter-test-'));
    try {
      writeFileSync(join(folder, 'tool'), '', { mode: 0o755 });
      writeFileSync(join(folder, 'text'), '', { mode: 0o644 });
      expect(which('tool', `/nowhere:${folder}`)).toBe(join(folder, 'tool'));
      expect(which('other', folder)).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it('writes a command as a shell reads it', () => {
  expect(commandLine('apt-get', ['install', 'a b', "it's"])).toBe("apt-get install 'a b' 'it'\\''s'");
});

it('says that Node is too old', () => {
  expect(() => requireNode('18.20.4')).toThrow(/18\.20\.4 is too old/);
  expect(() => requireNode('20.18.1')).toThrow(Failure);
  expect(() => requireNode('20.19.0')).not.toThrow();
  expect(() => requireNode('26.0.0')).not.toThrow();
});
