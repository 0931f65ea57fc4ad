/** The main process: a list of what is set up, in order. */
import { app } from 'electron';
import { Application } from './application.ts';
import { handlersOf } from './calls.ts';
import { answerCalls } from './ipc/ipc.ts';
import { parseArguments } from './start/arguments.ts';
import { limitChromium } from './start/chromium.ts';
import { claimInstance, onFilesFromOutside } from './start/instance.ts';
import { endCleanly } from './start/quit.ts';
import { chooseUserData } from './start/user-data.ts';
import { registerAppScheme, serveAppScheme } from './window/scheme.ts';
import { confinePages, secureSession } from './window/security.ts';

const { files, userData } = parseArguments(process.argv, {
  packaged: app.isPackaged,
  appPath: app.getAppPath(),
  cwd: process.cwd(),
});

chooseUserData(userData);
limitChromium();
registerAppScheme();
confinePages();

if (claimInstance(files)) {
  // macOS tells of files to open before it is ready.
  const early: string[] = [...files];
  let attach = (more: string[]): void => void early.push(...more);
  let show = (): void => undefined;
  onFilesFromOutside(
    (more) => attach(more),
    () => show(),
  );

  void app.whenReady().then(() => {
    serveAppScheme();
    secureSession();
    const platter = new Application();
    answerCalls(handlersOf(platter), (paths) => platter.attach(paths));
    endCleanly(platter);
    platter.window.show();
    platter.restore();
    attach = (more) => void platter.attach(more);
    show = () => platter.window.show();
    platter.attach(early);
    app.on('activate', () => platter.window.show());
  });
} else {
  app.quit();
}
