/** The only bridge between the page and main: `window.platter` (contract/bridge.ts), and the labs' MessagePorts. */
import { contextBridge, ipcRenderer, webUtils, type IpcRendererEvent } from 'electron';
import { CHANNEL, type Bridge } from '#contract/bridge.ts';
import type { EventName } from '#contract/calls.ts';
import { LAB_PORT_TAG, type LabPortMessage } from '#contract/lab.ts';

/** All that the preload script needs of the DOM, whose types would be wrong for the rest of the Node side. */
declare const window: {
  readonly location: { readonly origin: string };
  postMessage(message: unknown, origin: string, ports: readonly unknown[]): void;
};

type Listener = (payload: never) => void;

/** Events of one name that come before anybody listens wait for the first listener; more than these are dropped, oldest first. */
const MOST_WAITING = 100;

const listeners = new Map<string, Set<Listener>>();
const waiting = new Map<string, unknown[]>();

ipcRenderer.on(CHANNEL.event, (_event: IpcRendererEvent, name: string, payload: unknown) => {
  const known = listeners.get(name);
  if (known === undefined) waiting.set(name, [...(waiting.get(name) ?? []), payload].slice(-MOST_WAITING));
  else for (const listener of known) listener(payload as never);
});

ipcRenderer.on(CHANNEL.labPort, (event: IpcRendererEvent, lab: string) => {
  const message: LabPortMessage = { tag: LAB_PORT_TAG, lab };
  window.postMessage(message, window.location.origin, event.ports);
});

function on(name: EventName, listener: Listener): () => void {
  const known = listeners.get(name) ?? new Set();
  listeners.set(name, known.add(listener));
  const early = waiting.get(name) ?? [];
  waiting.delete(name);
  for (const payload of early) listener(payload as never);
  return () => void known.delete(listener);
}

const bridge: Bridge = {
  call: (name, ...args) => ipcRenderer.invoke(CHANNEL.call, name, args),
  on,
  attachDropped: (files) =>
    ipcRenderer.invoke(
      CHANNEL.attach,
      files.map((file) => webUtils.getPathForFile(file)),
    ),
};

contextBridge.exposeInMainWorld('platter', bridge);
