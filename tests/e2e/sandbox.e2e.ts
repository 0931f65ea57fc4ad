/** Chromium's sandbox of the operating system, which all other tests leave off when they run as root. Linux only. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';
import { otherUserTrouble, prepareOtherUser, type OtherUser } from './support/other-user.ts';

test.skip(process.platform !== 'linux', 'looks at /proc, which only Linux has');

const trouble = process.platform === 'linux' && process.getuid?.() === 0 ? otherUserTrouble() : undefined;
if (trouble !== undefined) console.warn(`skipped: the sandbox of the operating system: ${trouble}`);
test.skip(trouble !== undefined, trouble);

let user: OtherUser | undefined;
let platter: Launched;

test.beforeAll(async () => {
  if (process.getuid?.() === 0) user = prepareOtherUser();
  const home = user?.home;
  platter = await launch({
    sandbox: true,
    executable: user?.executable,
    userData: home === undefined ? undefined : join(home, 'data'),
    env: user?.env,
  });
});
test.afterAll(async () => {
  await (platter as Launched | undefined)?.close();
  if (user !== undefined) rmSync(user.folder, { recursive: true, force: true });
});

test('the renderer runs in the sandbox of the operating system', async () => {
  const pid = await platter.app.evaluate(({ BrowserWindow }) =>
    BrowserWindow.getAllWindows()[0].webContents.getOSProcessId(),
  );
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  expect(command).toContain('--type=renderer');
  expect(command).not.toContain('--no-sandbox');
  // 2: a seccomp filter decides on every system call.
  expect(/^Seccomp:\s+(\d)$/m.exec(status)?.[1]).toBe('2');
  expect(/^NoNewPrivs:\s+(\d)$/m.exec(status)?.[1]).toBe('1');
});

test('a file without permission is a clear error on that image', async () => {
  const folder = user?.home ?? platter.userData;
  const path = join(folder, 'secret.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '1M'], { stdio: 'ignore' });
  // As root the file belongs to root; else to us, and is closed to us as well.
  execFileSync('chmod', ['000', path]);
  writeFileSync(join(folder, 'open.img'), Buffer.alloc(512));
  const input = platter.page.locator('input[type=file]#attach-test');
  await platter.page.evaluate(() => {
    const input = document.createElement('input');
    input.type = 'file';
    input.multiple = true;
    input.id = 'attach-test';
    document.body.append(input);
  });
  await input.setInputFiles([path, join(folder, 'open.img')]);
  const answer = await platter.page.evaluate(() => {
    const files = [...((document.querySelector('#attach-test') as HTMLInputElement).files ?? [])];
    const { platter } = window as unknown as { platter: { attachDropped(files: File[]): Promise<unknown> } };
    return platter.attachDropped(files);
  });
  expect(answer).toMatchObject({ ok: true });
  const refused = await platter.image((image) => image.name === 'secret.qcow2' && image.error !== undefined);
  expect(refused.error).toMatchObject({
    code: 'storage.permission',
    context: { image: 'secret.qcow2', errno: 'EACCES' },
  });
  const other = await platter.image((image) => image.name === 'open.img' && image.info !== undefined);
  expect(other.error).toBeUndefined();
});
