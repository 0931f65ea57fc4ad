/** What the page may not do, asserted on the running application. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@playwright/test';
import { callFrom, launch, type Launched } from './support/app.ts';

let platter: Launched;
let server: Server;
let origin: string;
/** Every connection that reached the server, requests or not. */
let connections: number;

test.beforeAll(async () => {
  server = createServer((_request, response) => response.end('reached'));
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  platter = await launch();
});
test.afterAll(async () => {
  await platter.close();
  await new Promise((resolve) => server.close(resolve));
});
test.beforeEach(() => {
  connections = 0;
});

test('the page is isolated, sandboxed and without Node', async () => {
  const preferences = await platter.app.evaluate(({ BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0].webContents;
    return (
      contents as unknown as { getLastWebPreferences(): Record<string, unknown> }
    ).getLastWebPreferences();
  });
  expect(preferences).toMatchObject({
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    webviewTag: false,
  });
  const globals = await platter.page.evaluate(() =>
    [
      'require',
      'module',
      'exports',
      'process',
      'Buffer',
      'global',
      '__dirname',
      'electron',
      'ipcRenderer',
    ].filter((name) => name in globalThis),
  );
  expect(globals).toEqual([]);
});

test('the bridge offers three functions, cannot be changed, and gives away no way around it', async () => {
  const seen = await platter.page.evaluate(() => {
    const { platter } = window as unknown as { platter: Record<string, unknown> };
    const before = platter['call'];
    try {
      platter['call'] = () => 'replaced';
    } catch {
      // Frozen objects throw in strict mode.
    }
    return {
      names: Object.keys(platter).sort(),
      replaced: platter['call'] !== before,
      // A function that kept its world would lead to Node by its constructor.
      escape: Function.prototype === Object.getPrototypeOf(before),
    };
  });
  expect(seen).toEqual({ names: ['attachDropped', 'call', 'on'], replaced: false, escape: true });
});

test('the page comes from app://platter', async () => {
  expect(await platter.page.evaluate(() => location.origin)).toBe('app://platter');
  expect(await platter.page.evaluate(() => isSecureContext)).toBe(true);
});

test('the policy blocks inline scripts, handlers, eval and foreign scripts', async () => {
  const policy = await platter.page.evaluate(async () =>
    (await fetch('app://platter/index.html')).headers.get('content-security-policy'),
  );
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  const scripts = /script-src ([^;]*)/.exec(policy ?? '')?.[1];
  expect(scripts).toBe("'self'");

  const ran = await platter.page.evaluate(async (url) => {
    const marks: string[] = [];
    Object.assign(window, { mark: (what: string) => marks.push(what) });
    const add = (change: (script: HTMLScriptElement) => void): void => {
      const script = document.createElement('script');
      change(script);
      document.body.append(script);
    };
    add((script) => (script.textContent = 'mark("inline")'));
    add((script) => (script.src = 'data:text/javascript,mark("data")'));
    add((script) => (script.src = `http://${url}/x.js`));
    add(
      (script) => (script.src = URL.createObjectURL(new Blob(['mark("blob")'], { type: 'text/javascript' }))),
    );
    const div = document.createElement('div');
    div.innerHTML = '<img src="app://platter/none.png" onerror="mark(\'handler\')">';
    document.body.append(div);
    // In a timer, where the evaluation's own permission does not hold.
    await new Promise<void>((resolve) =>
      setTimeout(() => {
        try {
          // oxlint-disable-next-line no-eval -- to see it refused
          marks.push(String((0, eval)('"eval"')));
        } catch {
          // Refused, as it should be.
        }
        resolve();
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    return marks;
  }, origin);
  expect(ran).toEqual([]);
  expect(connections).toBe(0);
});

test('the page cannot go elsewhere, open windows or hold a web view', async () => {
  const url = platter.page.url();
  const opened = await platter.page.evaluate(async (host) => {
    const results = [
      window.open(`http://${host}/`),
      window.open('about:blank'),
      window.open('app://platter/index.html'),
    ];
    const link = document.createElement('a');
    link.href = `http://${host}/`;
    link.target = '_blank';
    document.body.append(link);
    link.click();
    const form = document.createElement('form');
    form.action = `http://${host}/`;
    document.body.append(form);
    form.submit();
    return results.filter((one) => one !== null).length;
  }, origin);
  expect(opened).toBe(0);
  for (const target of [`http://${origin}/`, 'file:///etc/passwd', 'data:text/html,x', 'app://other/']) {
    await platter.page.evaluate((to) => {
      location.href = to;
    }, target);
    await platter.page.waitForTimeout(200);
    expect(platter.page.url(), target).toBe(url);
  }
  expect(platter.app.windows()).toHaveLength(1);
  expect(connections).toBe(0);
  const webview = await platter.page.evaluate(() => 'loadURL' in document.createElement('webview'));
  expect(webview).toBe(false);
});

test('a page that went blank, which Chromium lets it, is brought back', async () => {
  await platter.page.evaluate(() => {
    location.href = 'about:blank';
  });
  await platter.page.waitForURL('app://platter/index.html');
  await expect(platter.page.locator('#app')).not.toBeEmpty();
});

test('every permission is denied', async () => {
  const answers = await platter.page.evaluate(async () => {
    const names = [
      'geolocation',
      'notifications',
      'camera',
      'microphone',
      'clipboard-read',
      'midi',
      'storage-access',
    ];
    const states = await Promise.all(
      names.map((name) =>
        navigator.permissions.query({ name: name as PermissionName }).then(
          (status) => status.state,
          () => 'denied',
        ),
      ),
    );
    const media = await navigator.mediaDevices.getUserMedia({ audio: true }).then(
      () => 'granted',
      () => 'denied',
    );
    const screen = await navigator.mediaDevices.getDisplayMedia({ video: true }).then(
      () => 'granted',
      () => 'denied',
    );
    const place = await new Promise<string>((resolve) =>
      navigator.geolocation.getCurrentPosition(
        () => resolve('granted'),
        () => resolve('denied'),
      ),
    );
    const clipboard = await navigator.clipboard.readText().then(
      () => 'granted',
      () => 'denied',
    );
    const notifications = await Notification.requestPermission();
    return [...states, media, screen, place, clipboard, notifications];
  });
  expect(new Set(answers)).toEqual(new Set(['denied']));
});

test('nothing in the page reaches the network', async () => {
  const reached = await platter.page.evaluate(reachEverything, origin);
  expect(reached).toEqual([]);
  expect(connections).toBe(0);
});

test('a page without a policy reaches no network either', async () => {
  const reached = await platter.app.evaluate(
    async ({ BrowserWindow }, [source, host]) => {
      const window = new BrowserWindow({
        show: false,
        webPreferences: { sandbox: true, contextIsolation: true },
      });
      await window.loadURL('data:text/html,<body>no policy here</body>');
      const result: unknown = await window.webContents.executeJavaScript(
        `(${source})(${JSON.stringify(host)})`,
      );
      window.destroy();
      return result;
    },
    [reachEverything.toString(), origin] as const,
  );
  expect(reached).toEqual([]);
  expect(connections).toBe(0);
});

test('the session itself fetches nothing, and names resolve to nothing', async () => {
  const result = await platter.app.evaluate(async ({ session, app }, host) => {
    const fetched = await session.defaultSession.fetch(`http://${host}/`).then(
      () => 'reached',
      (error: Error) => error.message,
    );
    return {
      fetched,
      rules: app.commandLine.getSwitchValue('host-resolver-rules'),
      quiet: ['disable-background-networking', 'disable-component-update'].map((name) =>
        app.commandLine.hasSwitch(name),
      ),
      spelling: session.defaultSession.isSpellCheckerEnabled(),
    };
  }, origin);
  expect(result).toMatchObject({ rules: 'MAP * ~NOTFOUND', quiet: [true, true], spelling: false });
  // The request filter's own refusal; without it the resolver's rule would still be there.
  expect(result.fetched).toContain('ERR_BLOCKED_BY_CLIENT');
  expect(connections).toBe(0);
});

test('app:// serves the renderer and nothing above it', async () => {
  const statuses = await platter.page.evaluate(async () => {
    const paths = [
      'app://platter/../../package.json',
      'app://platter/%2e%2e/%2e%2e/package.json',
      'app://platter/..%2f..%2fpackage.json',
      'app://platter/%2e%2e%2f%2e%2e%2fpackage.json',
      'app://platter/..%5c..%5cpackage.json',
      'app://platter/assets/..%2f..%2fmain/main.js',
      'app://platter//etc/hosts.txt',
      'app://platter/index.html%00.txt',
      'app://platter/',
      'app://platter/assets',
    ];
    const read = async (url: string): Promise<string> => {
      try {
        const answer = await fetch(url);
        return `${answer.status}`;
      } catch {
        return 'failed';
      }
    };
    return {
      refused: await Promise.all(paths.map(read)),
      otherHost: await read('app://other/index.html'),
      file: await read('file:///etc/hosts'),
      post: await fetch('app://platter/index.html', { method: 'POST' }).then((a) => a.status),
      index: await read('app://platter/index.html'),
    };
  });
  expect(new Set(statuses.refused)).toEqual(new Set(['404']));
  expect(statuses).toMatchObject({ otherHost: 'failed', file: 'failed', post: 404, index: '200' });
});

test('calls with bad names or arguments are refused, and do nothing', async () => {
  const refused: [string, unknown[], string][] = [
    ['fs.readFile', ['/etc/passwd'], 'ipc.unknown-call'],
    ['__proto__', [], 'ipc.unknown-call'],
    ['toString', [], 'ipc.unknown-call'],
    ['images.reopen', ['/etc/passwd'], 'ipc.bad-arguments'],
    ['images.reopen', [], 'ipc.bad-arguments'],
    ['images.reopen', ['img-0123456789abcdef', 'more'], 'ipc.bad-arguments'],
    ['images.read', ['img-0123456789abcdef', 'guest', -1, 512], 'ipc.bad-arguments'],
    ['images.read', ['img-0123456789abcdef', 'guest', 0, 1 << 30], 'ipc.bad-arguments'],
    ['images.read', ['img-0123456789abcdef', 'guest', 0, 512], 'image.unknown-handle'],
    ['images.detach', ['img-0123456789abcdef'], 'image.unknown-handle'],
    ['settings.set', [{ theme: 'purple' }], 'ipc.bad-arguments'],
    ['gate.answer', ['1', true, false], 'ipc.bad-arguments'],
    ['lab.run', ['lab-0123456789abcdef'], 'lab.unknown'],
    ['lab.create', [{ line: '', bindings: [], workload: {}, qemuVersion: '7.2' }], 'ipc.bad-arguments'],
  ];
  for (const [name, args, code] of refused) {
    const answer = await callFrom(platter.page, name, args);
    expect(answer, `${name} ${JSON.stringify(args)}`).toMatchObject({ ok: false, error: { code } });
  }
  const settings = await platter.call('app.start');
  expect(settings).toMatchObject({ ok: true, value: { settings: { theme: 'system' }, images: [] } });
});

test('files that were not dropped cannot be attached', async () => {
  const answer = await platter.page.evaluate(() => {
    const { platter } = window as unknown as { platter: { attachDropped(files: File[]): Promise<unknown> } };
    return platter.attachDropped([new File(['x'], '/etc/passwd')]);
  });
  expect(answer).toMatchObject({ ok: false, error: { code: 'ipc.not-files' } });
});

test('a page of another origin is not answered, even through our own preload script', async () => {
  const answers = await platter.app.evaluate(async ({ BrowserWindow, app }) => {
    const window = new BrowserWindow({
      show: false,
      webPreferences: {
        preload: `${app.getAppPath()}/out/preload/preload.cjs`,
        sandbox: true,
        contextIsolation: true,
      },
    });
    await window.loadURL('data:text/html,<body>somebody else</body>');
    const result: unknown = await window.webContents.executeJavaScript(
      'Promise.all([platter.call("images.list"), platter.call("images.attachSample"), platter.attachDropped([])])',
    );
    window.destroy();
    return result;
  });
  const refused = { ok: false, error: { code: 'ipc.bad-sender' } };
  expect(answers).toMatchObject([refused, refused, refused]);
});

test('nothing is downloaded', async () => {
  await platter.app.evaluate(({ session }) => {
    const seen = globalThis as unknown as { downloads: string[] };
    seen.downloads = [];
    session.defaultSession.on('will-download', (event, item) => {
      seen.downloads.push(`${event.defaultPrevented ? 'prevented' : 'allowed'} ${item.getFilename()}`);
    });
  });
  await platter.page.evaluate(() => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob(['x']));
    link.download = 'x.exe';
    link.click();
  });
  await expect
    .poll(() => platter.app.evaluate(() => (globalThis as unknown as { downloads: string[] }).downloads))
    .toEqual(['prevented x.exe']);
});

/** Runs in a page: tries every way to a server that a page has; answers those that got there. */
async function reachEverything(host: string): Promise<string[]> {
  const reached: string[] = [];
  const attempt = async (name: string, way: () => Promise<unknown>): Promise<void> => {
    try {
      await Promise.race([
        way().then(() => reached.push(name)),
        new Promise((resolve) => {
          setTimeout(resolve, 1500);
        }),
      ]);
    } catch {
      // Refused, as it should be.
    }
  };
  const element = (make: (done: () => void, failed: () => void) => HTMLElement): Promise<void> =>
    new Promise((resolve, reject) => {
      document.body.append(make(resolve, () => reject(new Error('refused'))));
    });
  await Promise.all([
    attempt('fetch', () => fetch(`http://${host}/fetch`, { mode: 'no-cors' })),
    attempt('https', () => fetch(`https://${host}/fetch`, { mode: 'no-cors' })),
    attempt(
      'xhr',
      () =>
        new Promise((resolve, reject) => {
          const request = new XMLHttpRequest();
          request.open('GET', `http://${host}/xhr`);
          request.addEventListener('load', resolve);
          request.addEventListener('error', reject);
          request.send();
        }),
    ),
    attempt('image', () =>
      element((done, failed) => {
        const image = new Image();
        image.addEventListener('load', done);
        image.addEventListener('error', failed);
        image.src = `http://${host}/image.png`;
        return image;
      }),
    ),
    attempt(
      'websocket',
      () =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(`ws://${host}/socket`);
          socket.addEventListener('open', resolve);
          socket.addEventListener('error', reject);
        }),
    ),
    attempt(
      'event source',
      () =>
        new Promise((resolve, reject) => {
          const source = new EventSource(`http://${host}/events`);
          source.addEventListener('open', resolve);
          source.addEventListener('error', () => {
            source.close();
            reject(new Error('refused'));
          });
        }),
    ),
    attempt('style', () =>
      element((done, failed) => {
        const link = document.createElement('link');
        link.rel = 'stylesheet';
        link.href = `http://${host}/style.css`;
        link.addEventListener('load', done);
        link.addEventListener('error', failed);
        return link;
      }),
    ),
  ]);
  // These do not say whether they arrived; the server counts.
  navigator.sendBeacon(`http://${host}/beacon`, 'x');
  for (const rel of ['prefetch', 'preconnect', 'dns-prefetch', 'preload']) {
    const link = document.createElement('link');
    link.rel = rel;
    link.href = `http://${host}/`;
    document.head.append(link);
  }
  const frame = document.createElement('iframe');
  frame.src = `http://${host}/frame`;
  document.body.append(frame);
  await new Promise((resolve) => {
    setTimeout(resolve, 500);
  });
  frame.remove();
  return reached;
}
