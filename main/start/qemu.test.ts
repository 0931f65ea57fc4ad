import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { installedQemu, qemuVersion } from './qemu.ts';

describe('installedQemu', () => {
  it('agrees with the installed program', async () => {
    const text = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
    const version = await installedQemu();
    expect(version).not.toBeNull();
    expect(text).toContain(`version ${version}.`);
  });

  it('is null without one', async () => {
    expect(await installedQemu('no-such-program-anywhere')).toBeNull();
  });

  it('takes two digits of a version with more', () => {
    expect(qemuVersion('QEMU emulator version 10.2.0-rc1')).toBe('10.2');
    expect(qemuVersion('something else')).toBeNull();
  });
});
