/** Chromium's switches: nothing that asks the network unasked, and the sandbox for every renderer. Before `ready`. */
import { app } from 'electron';
import { developmentServer } from '../window/origin.ts';

/** Services of a browser that Platter has no use for; each of them would speak to a server on its own. */
const QUIET = [
  'disable-background-networking',
  'disable-component-update',
  'disable-domain-reliability',
  'disable-sync',
  'no-pings',
  'no-first-run',
];

export function limitChromium(): void {
  for (const name of QUIET) app.commandLine.appendSwitch(name);
  // Whatever slips past the request filter still finds no host: every name resolves to nothing.
  if (developmentServer() === undefined) {
    app.commandLine.appendSwitch('host-resolver-rules', 'MAP * ~NOTFOUND');
  }
  // `enableSandbox` would undo --no-sandbox, without which Chromium does not start as root.
  if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox();
}
