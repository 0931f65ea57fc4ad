import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failedLately, forgetFailure, rememberFailure } from './attempts.mjs';
import { which } from './run.mjs';
import { asSources, ensureSamples, samplesDir, samplesMissing, sourcesOf } from './samples.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'platter-test-'));
  vi.stubEnv('XDG_CACHE_HOME', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

describe("apt's sources, turned to source packages", () => {
  const lines = [
    '# deb http://off/ stable main',
    'deb [signed-by=/k.gpg] http://deb.debian.org/debian bookworm main contrib',
    'deb-src http://deb.debian.org/debian bookworm main',
    '  deb http://security.debian.org/ bookworm-security main',
  ];
  const stanza =
    'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n';

  it('in both notations', () => {
    expect(asSources('a.list', lines.join('\n'))).toBe(
      'deb-src [signed-by=/k.gpg] http://deb.debian.org/debian bookworm main contrib\n' +
        'deb-src http://security.debian.org/ bookworm-security main\n',
    );
    expect(asSources('a.sources', `${stanza}\nEnabled: no\n${stanza.replace('deb', 'deb deb-src')}`)).toBe(
      `${stanza.replace('deb', 'deb-src')}\nEnabled: no\n${stanza.replace('deb', 'deb-src')}`,
    );
  });
  it('from the files that apt itself would read', () => {
    mkdirSync(join(folder, 'sources.list.d'));
    writeFileSync(join(folder, 'sources.list'), 'deb http://a/ s main\n');
    writeFileSync(join(folder, 'sources.list.d/debian.sources'), stanza);
    writeFileSync(join(folder, 'sources.list.d/other.list.disabled'), 'deb http://b/ s main\n');
    expect(sourcesOf(folder).map(({ name }) => name)).toEqual(['sources.list', 'debian.sources']);
    expect(sourcesOf(join(folder, 'nowhere'))).toEqual([]);
  });
});

describe('attempts that failed', () => {
  it('are remembered with their reason for a day', () => {
    expect(failedLately('x')).toBeUndefined();
    rememberFailure('x', 'no network');
    expect(failedLately('x')).toBe('no network');
    expect(failedLately('x', Date.now() + 25 * 3600 * 1000)).toBeUndefined();
    forgetFailure('x');
    expect(failedLately('x')).toBeUndefined();
  });
});

const tools = ['tar', 'xz', 'bzip2', 'cp', 'sh', 'rm'];
const lacks = tools.filter((name) => which(name) === undefined);
if (process.platform !== 'linux' || lacks.length > 0)
  console.log(`The unpacking of sample images is not tested here: it needs Linux and ${lacks.join(', ')}.`);

describe.skipIf(process.platform !== 'linux' || lacks.length > 0)('fetching the sample images', () => {
  /** An apt-get of our own in front of everything: what it does for `source`. */
  function withApt(script: string): void {
    const bin = join(folder, 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'apt-get'), `#!/bin/sh\ncase " $* " in *" source "*) ${script};; esac\n`);
    chmodSync(join(bin, 'apt-get'), 0o755);
    vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
  }
  /** A source package as Debian's is laid out, with one image in it. */
  function sourcePackage(image: Buffer): string {
    const samples = join(folder, 'qemu-9/tests/qemu-iotests/sample_images');
    mkdirSync(samples, { recursive: true });
    writeFileSync(join(samples, 'disk.img'), image);
    writeFileSync(join(samples, 'README'), 'no image');
    writeFileSync(join(folder, 'qemu-9/configure'), 'left in the tar');
    spawnSync('bzip2', [join(samples, 'disk.img')]);
    const tar = join(folder, 'qemu_9.orig.tar.xz');
    spawnSync('tar', ['-cJf', tar, '-C', folder, 'qemu-9']);
    return tar;
  }

  it('unpacks the images of the package, once', () => {
    const image = Buffer.concat([Buffer.from('head'), Buffer.alloc(3 << 20), Buffer.from('tail')]);
    const tar = sourcePackage(image);
    withApt(`cp ${tar} .`);
    ensureSamples();
    expect(samplesMissing()).toBeUndefined();
    expect(readdirSync(samplesDir())).toEqual(['disk.img']);
    expect(readFileSync(join(samplesDir(), 'disk.img')).equals(image)).toBe(true);
    // Nothing of the work stays, and a second time nobody is asked.
    expect(readdirSync(join(folder, 'platter'))).toEqual(['qemu-sample-images-1']);
    withApt(`touch ${folder}/asked`);
    ensureSamples();
    expect(existsSync(join(folder, 'asked'))).toBe(false);
  });
  it.each([
    ['apt fails', 'echo E: no such package >&2; exit 100', 'E: no such package'],
    ['apt brings nothing', 'true', 'brought no qemu'],
    ['what it brings is no tar', 'echo x > qemu_9.orig.tar.xz', 'tar'],
  ])('when %s, says why, leaves nothing half done and waits for a day', (_what, script, reason) => {
    withApt(script);
    ensureSamples();
    expect(samplesMissing()).toContain(reason);
    expect(readdirSync(join(folder, 'platter'))).toEqual(['qemu-sample-images-1-unavailable']);
    withApt(`touch ${folder}/asked`);
    ensureSamples();
    expect(existsSync(join(folder, 'asked'))).toBe(false);
  });
  it('says so where there is no apt-get', () => {
    vi.stubEnv('PATH', join(folder, 'empty'));
    ensureSamples();
    expect(samplesMissing()).toContain('no apt-get');
  });
});
