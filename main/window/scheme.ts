/** The `app://` scheme: the built renderer, and nothing else of the disk. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { app, protocol } from 'electron';
import { fileOf } from './files.ts';
import { APP_SCHEME } from './origin.ts';
import { HEADERS } from './policy.ts';

/** Before `ready`: makes `app://` a scheme with an origin of its own, like https. */
export function registerAppScheme(): void {
  protocol.registerSchemesAsPrivileged([
    {
      scheme: APP_SCHEME,
      privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true },
    },
  ]);
}

/** After `ready`. A path that may not be read and one that does not exist are answered alike. */
export function serveAppScheme(): void {
  const root = join(app.getAppPath(), 'out', 'renderer');
  protocol.handle(APP_SCHEME, async (request) => {
    const file = request.method === 'GET' ? fileOf(root, request.url) : null;
    if (file === null) return notFound();
    try {
      const body = await readFile(file.path);
      return new Response(new Uint8Array(body), { headers: { ...HEADERS, 'Content-Type': file.type } });
    } catch {
      return notFound();
    }
  });
}

function notFound(): Response {
  return new Response('Not found', { status: 404, headers: { ...HEADERS, 'Content-Type': 'text/plain' } });
}
