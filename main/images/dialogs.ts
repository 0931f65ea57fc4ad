/** The system's file dialogs. */
import { dialog, type BrowserWindow } from 'electron';

export type Text = (key: string) => string;

/** Extensions of images; the dialog's second choice shows all files, since an image needs none. */
const EXTENSIONS = [
  'qcow2',
  'img',
  'raw',
  'qcow',
  'qed',
  'vmdk',
  'vhd',
  'vhdx',
  'vdi',
  'hdd',
  'iso',
  'dmg',
  'luks',
];

/** The chosen files; none when cancelled. */
export async function pickImages(window: BrowserWindow | undefined, text: Text): Promise<string[]> {
  const options: Electron.OpenDialogOptions = {
    title: text('dialog.attach.title'),
    buttonLabel: text('dialog.attach.button'),
    properties: ['openFile', 'multiSelections', 'dontAddToRecent'],
    filters: [
      { name: text('dialog.attach.images'), extensions: EXTENSIONS },
      { name: text('dialog.attach.all'), extensions: ['*'] },
    ],
  };
  const answer = await (window === undefined
    ? dialog.showOpenDialog(options)
    : dialog.showOpenDialog(window, options));
  return answer.canceled ? [] : answer.filePaths;
}

/** The configuration file of the line, or undefined when cancelled. */
export async function pickConfigFile(
  window: BrowserWindow | undefined,
  text: Text,
): Promise<string | undefined> {
  const options: Electron.OpenDialogOptions = {
    title: text('dialog.config.title'),
    buttonLabel: text('dialog.config.button'),
    properties: ['openFile', 'dontAddToRecent'],
    filters: [
      { name: text('dialog.config.filter'), extensions: ['cfg', 'conf'] },
      { name: text('dialog.attach.all'), extensions: ['*'] },
    ],
  };
  const answer = await (window === undefined
    ? dialog.showOpenDialog(options)
    : dialog.showOpenDialog(window, options));
  return answer.canceled ? undefined : answer.filePaths.at(0);
}

/** Where the trace is to go, or undefined when cancelled. */
export async function pickTraceFile(
  window: BrowserWindow | undefined,
  text: Text,
): Promise<string | undefined> {
  const options: Electron.SaveDialogOptions = {
    title: text('dialog.trace.title'),
    defaultPath: 'trace.jsonl',
    properties: ['createDirectory', 'showOverwriteConfirmation', 'dontAddToRecent'],
    filters: [{ name: text('dialog.trace.filter'), extensions: ['jsonl'] }],
  };
  const answer = await (window === undefined
    ? dialog.showSaveDialog(options)
    : dialog.showSaveDialog(window, options));
  return answer.canceled || answer.filePath === '' ? undefined : answer.filePath;
}
