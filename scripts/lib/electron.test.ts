import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  describe as describeRuntime,
  downloadUrl,
  missingLibraries,
  runtimeEnv,
  whyUnreachable,
} from './electron.mjs';

let server: Server | undefined;
afterEach(() => server?.close());

/** An HTTP server that answers every request with `status`; answers its address. */
async function serve(status: number): Promise<string> {
  server = createServer((_request, response) => response.writeHead(status).end());
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('whether the download can be reached', () => {
  it('is so when the server has the file', async () => {
    expect(await whyUnreachable(await serve(200), {})).toBeUndefined();
  });
  it('is not when it refuses, and the reason names the host and its answer', async () => {
    expect(await whyUnreachable(await serve(403), {})).toMatch(/^127\.0\.0\.1:\d+ answers 403$/);
  });
  it('is not when nobody listens', async () => {
    const address = await serve(200);
    await new Promise((resolve) => server?.close(resolve));
    expect(await whyUnreachable(address, {})).toContain('ECONNREFUSED');
  });
  it('is left to the download itself behind a proxy', async () => {
    expect(await whyUnreachable(await serve(403), { HTTPS_PROXY: 'http://proxy:3128' })).toBeUndefined();
  });
  it('asks the mirror when one is set', () => {
    expect(downloadUrl({}, '45.4.1')).toMatch(
      /^https:\/\/github\.com\/electron\/.*\/v45\.4\.1\/SHASUMS256\.txt$/,
    );
    expect(downloadUrl({ ELECTRON_MIRROR: 'https://mirror/' }, '45.4.1')).toBe(
      'https://mirror/v45.4.1/SHASUMS256.txt',
    );
  });
});

describe('the runtime', () => {
  const runtime = { folder: '/r', executable: '/r/electron', version: '33.2.1', kind: 'substitute' as const };

  it('goes without the sandbox as root and as nobody else', () => {
    expect(runtimeEnv(runtime, 0)).toHaveProperty('ELECTRON_DISABLE_SANDBOX', '1');
    expect(runtimeEnv(runtime, 1000)).not.toHaveProperty('ELECTRON_DISABLE_SANDBOX');
  });
  it('says when it is not the one that package.json pins', () => {
    expect(describeRuntime(runtime)).toMatch(
      /^Electron 33\.2\.1, the substitute \(package\.json pins \d+\.\d+\.\d+\), in \/r$/,
    );
  });
  it('misses the libraries that ldd does not find', () => {
    const ldd =
      '\tlibnss3.so => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\tlibgbm.so.1 => not found\n';
    expect(missingLibraries(ldd)).toEqual(['libnss3.so', 'libgbm.so.1']);
  });
});
