/** The one window: its place on the screen, its page, and what is sent to that. */
import { join } from 'node:path';
import { app, BrowserWindow, nativeTheme, screen, type WebContents } from 'electron';
import type { EventName, Events } from '#contract/calls.ts';
import { CHANNEL } from '#contract/bridge.ts';
import type { Store } from '../store/store.ts';
import { fitToScreens, SMALLEST, type WindowState } from './bounds.ts';
import { APP_URL, developmentServer } from './origin.ts';
import { isOwnPage } from './trusted.ts';

/** The page's own surface in each theme, so that nothing flashes before it is there. */
const BACKGROUND = { light: '#f6f7f8', dark: '#17191c' } as const;

/** A page that dies more often than this within a minute is not loaded again. */
const MOST_RELOADS = 3;

export interface WindowOptions {
  state: Store<WindowState>;
  /** The page is gone or is being loaded anew: whatever belonged to it is void. */
  pageGone: () => void;
  /** Asked before the window closes. */
  mayClose: () => boolean;
  /** The page's process died; it is loaded again. */
  pageCrashed: (reason: string) => void;
}

export class MainWindow {
  readonly #options: WindowOptions;
  #window: BrowserWindow | undefined;
  #pageStarted = false;
  #crashes: number[] = [];

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** Opens the window, or brings it to the front. */
  show(): void {
    if (this.#window === undefined) {
      this.#open();
      return;
    }
    if (this.#window.isMinimized()) this.#window.restore();
    this.#window.show();
    this.#window.focus();
  }

  get exists(): boolean {
    return this.#window !== undefined;
  }

  /** The window to put dialogs on. */
  get electron(): BrowserWindow | undefined {
    return this.#window;
  }

  /** Whether the page has asked for its start; before that nobody listens. */
  get pageStarted(): boolean {
    return this.#pageStarted;
  }

  markPageStarted(): void {
    this.#pageStarted = true;
  }

  /** Sends an event; lost when no page listens, which then asks for the whole state when it starts. */
  send<N extends EventName>(name: N, payload: Events[N]): void {
    if (this.#pageStarted) this.contents?.send(CHANNEL.event, name, payload);
  }

  get contents(): WebContents | undefined {
    const contents = this.#window?.webContents;
    return contents?.isDestroyed() === false ? contents : undefined;
  }

  #open(): void {
    const areas = screen.getAllDisplays().map((display) => display.workArea);
    const { bounds, maximized } = fitToScreens(this.#options.state.value, areas);
    const window = new BrowserWindow({
      ...bounds,
      minWidth: SMALLEST.width,
      minHeight: SMALLEST.height,
      title: app.getName(),
      show: false,
      backgroundColor: BACKGROUND[nativeTheme.shouldUseDarkColors ? 'dark' : 'light'],
      webPreferences: {
        preload: join(app.getAppPath(), 'out', 'preload', 'preload.cjs'),
        contextIsolation: true,
        sandbox: true,
        nodeIntegration: false,
        nodeIntegrationInWorker: false,
        nodeIntegrationInSubFrames: false,
        webviewTag: false,
        webSecurity: true,
        allowRunningInsecureContent: false,
        navigateOnDragDrop: false,
        spellcheck: false,
        devTools: !app.isPackaged,
      },
    });
    this.#window = window;
    if (maximized) window.maximize();
    window.once('ready-to-show', () => window.show());
    window.on('close', (event) => {
      if (!this.#options.mayClose()) event.preventDefault();
    });
    this.#rememberPlace(window);
    this.#watchPage(window.webContents);
    window.on('closed', () => {
      this.#window = undefined;
      this.#pageIsGone();
    });
    this.#load(window);
  }

  #load(window: BrowserWindow): void {
    // A page that cannot be loaded is told by `did-fail-load`; a window that closes meanwhile rejects as well.
    window.loadURL(developmentServer() ?? APP_URL).catch(() => undefined);
  }

  #rememberPlace(window: BrowserWindow): void {
    const { state } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const save = (): void => {
      clearTimeout(timer);
      if (window.isDestroyed() || window.isMinimized() || window.isFullScreen()) return;
      // Not worth an error: the window opens at its old place next time.
      state.set({ bounds: window.getNormalBounds(), maximized: window.isMaximized() }).catch(() => undefined);
    };
    const later = (): void => {
      clearTimeout(timer);
      timer = setTimeout(save, 500);
    };
    window.on('resize', later);
    window.on('move', later);
    window.on('maximize', later);
    window.on('unmaximize', later);
    window.on('close', save);
  }

  #watchPage(contents: WebContents): void {
    contents.on('did-start-navigation', ({ isMainFrame, isSameDocument }) => {
      if (isMainFrame && !isSameDocument) this.#pageIsGone();
    });
    // A page may always go to about:blank, and nothing can be asked before; it has nothing to do there.
    contents.on('did-navigate', (_event, url) => {
      if (this.#window !== undefined && !isOwnPage(url, developmentServer())) this.#load(this.#window);
    });
    contents.on('render-process-gone', (_event, { reason }) => {
      this.#pageIsGone();
      if (reason === 'clean-exit' || this.#window === undefined) return;
      const now = Date.now();
      this.#crashes = [...this.#crashes.filter((time) => now - time < 60_000), now];
      if (this.#crashes.length > MOST_RELOADS) {
        app.quit();
        return;
      }
      this.#options.pageCrashed(reason);
      this.#load(this.#window);
    });
  }

  #pageIsGone(): void {
    if (!this.#pageStarted) return;
    this.#pageStarted = false;
    this.#options.pageGone();
  }
}
