/** The one place where the page's calls come in: who sent it, what it says, its answer. */
import { ipcMain, type IpcMainInvokeEvent } from 'electron';
import * as v from 'valibot';
import { CHANNEL } from '#contract/bridge.ts';
import type { Result } from '#contract/error.ts';
import type { ImageHandle } from '#contract/images.ts';
import { PlatterError } from '#engine/errors.ts';
import { developmentServer } from '../window/origin.ts';
import { isOwnPage } from '../window/trusted.ts';
import { dispatch, settle, type Handlers } from './dispatch.ts';

/** Paths that the preload script took from dropped files; only that script can send them. */
const droppedSchema = v.pipe(v.array(v.pipe(v.string(), v.minLength(1))), v.maxLength(100_000));

/** Answers the page from now on. @param attach attaches files by path */
export function answerCalls(handlers: Handlers, attach: (paths: string[]) => ImageHandle[]): void {
  ipcMain.handle(CHANNEL.call, (event, name: unknown, args: unknown): Promise<Result<unknown>> => {
    if (!fromOwnPage(event)) return refuse();
    return dispatch(handlers, name, args);
  });
  ipcMain.handle(CHANNEL.attach, (event, paths: unknown): Promise<Result<unknown>> => {
    if (!fromOwnPage(event)) return refuse();
    return settle(() => {
      const checked = v.safeParse(droppedSchema, paths);
      if (!checked.success) {
        throw new PlatterError(
          'ipc.not-files',
          'What was dropped holds nothing that lies in a file. Drop image files from the file manager.',
          { expected: 'files' },
        );
      }
      return attach(checked.output);
    });
  });
}

/** Only the main frame of a page of ours is listened to. */
function fromOwnPage({ senderFrame, sender }: IpcMainInvokeEvent): boolean {
  if (senderFrame === null || senderFrame !== sender.mainFrame) return false;
  return isOwnPage(senderFrame.url, developmentServer());
}

function refuse(): Promise<Result<never>> {
  return settle(() => {
    throw new PlatterError('ipc.bad-sender', 'This call did not come from the page of Platter.');
  });
}
