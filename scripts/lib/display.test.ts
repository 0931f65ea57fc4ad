import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { hasDisplay, withVirtualDisplay } from './display.mjs';
import { capture } from './run.mjs';

it('knows a display by its environment', () => {
  expect(hasDisplay({}, 'linux')).toBe(false);
  expect(hasDisplay({ DISPLAY: '' }, 'linux')).toBe(false);
  expect(hasDisplay({ DISPLAY: ':0' }, 'linux')).toBe(true);
  expect(hasDisplay({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux')).toBe(true);
  expect(hasDisplay({}, 'darwin')).toBe(true);
});

/**
 * The first byte of the X server's answer to a connection set-up (X protocol, "Connection Setup"): 0 refused, 1 accepted.
 */
function setUp(display: string, cookie: Buffer): Promise<number> {
  const name = Buffer.from(cookie.length > 0 ? 'MIT-MAGIC-COOKIE-1\0\0' : '');
  const head = Buffer.alloc(12);
  head.write('l');
  head.writeUInt16LE(11, 2);
  head.writeUInt16LE(cookie.length > 0 ? 18 : 0, 6);
  head.writeUInt16LE(cookie.length, 8);
  return new Promise((resolve, reject) => {
    const socket = connect(`/tmp/.X11-unix/X${display.slice(1)}`);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data[0]);
    });
    socket.once('error', reject);
    socket.end(Buffer.concat([head, name, cookie]));
  });
}

it('opens a virtual display to who has its cookie and to nobody else, and takes it away again', async () => {
  const inside = await withVirtualDisplay(async (env: Record<string, string>) => {
    const cookie = capture('xauth', ['-f', env.XAUTHORITY, 'list', env.DISPLAY]).trim().split(/\s+/).at(-1);
    expect(await setUp(env.DISPLAY, Buffer.from(cookie ?? '', 'hex'))).toBe(1);
    expect(await setUp(env.DISPLAY, Buffer.alloc(16))).toBe(0);
    expect(await setUp(env.DISPLAY, Buffer.alloc(0))).toBe(0);
    return env;
  });
  expect(existsSync(inside.XAUTHORITY)).toBe(false);
});

it('gives two that ask at the same time a display each', async () => {
  const numbers = await Promise.all(
    [1, 2].map(() =>
      withVirtualDisplay(async (env: Record<string, string>) => {
        const cookie = capture('xauth', ['-f', env.XAUTHORITY, 'list', env.DISPLAY])
          .trim()
          .split(/\s+/)
          .at(-1);
        expect(await setUp(env.DISPLAY, Buffer.from(cookie ?? '', 'hex'))).toBe(1);
        return env.DISPLAY;
      }),
    ),
  );
  expect(new Set(numbers).size).toBe(2);
});
