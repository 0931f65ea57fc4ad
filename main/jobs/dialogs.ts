/** The save dialog for new images. */
import { basename, dirname, join } from 'node:path';
import { dialog } from 'electron';
import type { ImageHandle } from '#contract/images.ts';
import type { TargetFile } from '#contract/jobs.ts';
import type { Application } from '../application.ts';

/** The usual ending of each format's files, first, and others that they are known by. */
const EXTENSIONS: Readonly<Record<string, string[]>> = {
  raw: ['img', 'raw'],
  qcow2: ['qcow2'],
  vmdk: ['vmdk'],
  vpc: ['vhd'],
  vhdx: ['vhdx'],
  vdi: ['vdi'],
  qed: ['qed'],
  parallels: ['hds', 'hdd'],
  luks: ['luks'],
};

/** Asks where a new image goes. The system's dialog asks before a file that exists is chosen. */
export async function pickTarget(
  { images, targets, text, window }: Application,
  beside: ImageHandle | null,
  name: string,
  format: string,
): Promise<TargetFile | null> {
  const folder = beside === null ? '' : dirname(images.path(beside));
  const extensions = EXTENSIONS[format];
  const options: Electron.SaveDialogOptions = {
    title: text('dialog.target.title'),
    buttonLabel: text('dialog.target.button'),
    defaultPath: join(folder, basename(name)),
    properties: ['createDirectory', 'showOverwriteConfirmation', 'dontAddToRecent'],
    filters: [
      ...(extensions === undefined ? [] : [{ name: format, extensions }]),
      { name: text('dialog.attach.all'), extensions: ['*'] },
    ],
  };
  const on = window.electron;
  const answer = await (on === undefined
    ? dialog.showSaveDialog(options)
    : dialog.showSaveDialog(on, options));
  return answer.canceled || answer.filePath === '' ? null : targets.give(answer.filePath);
}
