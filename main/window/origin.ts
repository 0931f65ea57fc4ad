/** Where the page comes from: the `app://` scheme, or the development server of `electron-vite dev`. */
import { app } from 'electron';

export const APP_SCHEME = 'app';
export const APP_HOST = 'platter';
export const APP_URL = `${APP_SCHEME}://${APP_HOST}/index.html`;

/** The development server's URL; never in a packaged application. */
export function developmentServer(): string | undefined {
  const url = process.env.ELECTRON_RENDERER_URL;
  return app.isPackaged || url === undefined || url === '' ? undefined : url;
}
