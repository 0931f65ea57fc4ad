/** The channel between a lab's process and the page: main makes it and holds neither end. */
import { MessageChannelMain, type WebContents } from 'electron';
import { CHANNEL } from '#contract/bridge.ts';
import { PlatterError } from '#engine/errors.ts';
import type { LabId } from '#contract/lab.ts';

/** Gives one end to the page and answers the other, for the lab's process. */
export function connectLab(contents: WebContents | undefined, id: LabId): unknown {
  if (contents === undefined) throw new PlatterError('lab.no-window', 'There is no window to show a lab in.');
  const { port1, port2 } = new MessageChannelMain();
  contents.postMessage(CHANNEL.labPort, id, [port2]);
  return port1;
}
