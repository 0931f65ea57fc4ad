/** The end: labs finish their requests, images are closed, files that are being written are written. */
import { app } from 'electron';

/** What must be closed before the process may go. */
export interface Closable {
  close(): Promise<void>;
}

export function endCleanly(platter: Closable): void {
  let closed = false;
  app.on('will-quit', (event) => {
    if (closed) return;
    event.preventDefault();
    void platter.close().finally(() => {
      closed = true;
      // When there is nothing to wait for, this event is still going on, and while it does Electron takes no second quit.
      setImmediate(() => app.quit());
    });
  });
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
}
