/** What no page may do: ask for permissions, reach the network, go elsewhere, open windows, download, hold a web view. */
import { app, session, type WebContents } from 'electron';
import { developmentServer } from './origin.ts';
import { mayRequest } from './trusted.ts';

/** After `ready`, before the first window. */
export function secureSession(): void {
  const ses = session.defaultSession;
  ses.setPermissionRequestHandler((_contents, _permission, decide) => decide(false));
  ses.setPermissionCheckHandler(() => false);
  ses.setDevicePermissionHandler(() => false);
  ses.setDisplayMediaRequestHandler((_request, decide) => decide({}));
  ses.setSpellCheckerEnabled(false);
  ses.on('will-download', (event) => event.preventDefault());
  const rules = { development: developmentServer(), devtools: !app.isPackaged };
  ses.webRequest.onBeforeRequest((request, decide) => decide({ cancel: !mayRequest(request.url, rules) }));
}

/** Before the first window: every page that is ever made is confined the moment it exists. */
export function confinePages(): void {
  app.on('web-contents-created', (_event, contents) => confine(contents));
}

function confine(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.on('will-navigate', (event) => event.preventDefault());
  contents.on('will-frame-navigate', (event) => event.preventDefault());
  contents.on('will-redirect', (event) => event.preventDefault());
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.setWebRTCIPHandlingPolicy('disable_non_proxied_udp');
}
