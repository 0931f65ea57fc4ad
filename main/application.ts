/** The parts of the running application, put together once Electron is ready. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { app } from 'electron';
import type { ImageHandle } from '#contract/images.ts';
import { settingsSchema, type Locale, type Session, type Settings } from '#contract/settings.ts';
import { PlatterError } from '#engine/errors.ts';
import { PersonGate } from './gate.ts';
import { Images } from './images/images.ts';
import { historySchema, type JobHistory } from './jobs/history.ts';
import { Jobs } from './jobs/jobs.ts';
import { mayStopJobs } from './jobs/may-stop.ts';
import { tellEnd } from './jobs/notification.ts';
import { Targets } from './jobs/targets.ts';
import { taskbarFraction } from './jobs/taskbar.ts';
import { connectLab } from './labs/port.ts';
import { Labs } from './labs/labs.ts';
import { installMenu } from './menu/menu.ts';
import { ourLocale, translator } from './menu/messages.ts';
import { Notices } from './notices.ts';
import { memoryByPid, spawnWorker } from './processes/spawn.ts';
import { Supervisor } from './processes/supervisor.ts';
import { Trials } from './qemu/trials.ts';
import { installedQemu } from './start/qemu.ts';
import { openWorkSchema, withNewHandles, type OpenWork } from './store/open-work.ts';
import { Store } from './store/store.ts';
import { applyTheme } from './theme.ts';
import { windowStateSchema, type WindowState } from './window/bounds.ts';
import { MainWindow } from './window/window.ts';

export class Application {
  readonly qemu = installedQemu();
  readonly systemLocale = ourLocale(app.getPreferredSystemLanguages());
  readonly notices = new Notices((notice) => this.window.send('notice', notice));
  readonly settings: Store<Settings>;
  readonly work: Store<OpenWork>;
  readonly #windowState: Store<WindowState>;
  readonly #jobHistory: Store<JobHistory>;
  readonly supervisor: Supervisor;
  readonly gate: PersonGate;
  readonly images: Images;
  readonly labs: Labs;
  readonly targets = new Targets(homedir());
  readonly jobs: Jobs;
  readonly trials: Trials;
  readonly window: MainWindow;
  /** While the kept files are attached, what is kept stays as it is. */
  #restoring = false;

  constructor() {
    const file = (name: string): string => join(app.getPath('userData'), name);
    this.settings = Store.open(file('settings.json'), settingsSchema, this.notices);
    this.work = Store.open(file('session.json'), openWorkSchema, this.notices);
    this.#windowState = Store.open(file('window.json'), windowStateSchema, this.notices);
    this.#jobHistory = Store.open(file('jobs.json'), historySchema, this.notices);
    this.window = new MainWindow({
      state: this.#windowState,
      pageGone: () => this.#pageGone(),
      mayClose: () => mayStopJobs(this.jobs, this.window.electron, this.text),
      pageCrashed: (reason) => this.notices.add('page.crashed', { reason }),
    });
    this.supervisor = new Supervisor(spawnWorker, memoryByPid, (rows) =>
      this.window.send('processes.changed', rows),
    );
    this.gate = new PersonGate({
      ask: (question) => {
        this.window.send('gate.ask', question);
        return this.window.exists;
      },
      withdraw: (id) => this.window.send('gate.withdrawn', id),
    });
    this.images = new Images({
      supervisor: this.supervisor,
      gate: this.gate,
      home: homedir(),
      changed: (change) => this.window.send('images.changed', change),
      filesChanged: () =>
        void this.saveSession(this.work.value.session).catch((error) => this.notices.addError(error)),
      written: (handle) => this.labs.uses().writes.includes(handle),
    });
    this.labs = new Labs({
      supervisor: this.supervisor,
      ask: (handle, request) => this.gate.ask(handle, request),
      path: (handle) => this.images.path(handle),
      passphrases: (handle) => this.images.passphrasesOf(handle),
      connect: (id) => connectLab(this.window.contents, id),
      changed: (status) => this.window.send('lab.changed', status),
      admit: (uses, writes) => this.jobs.admitLab(uses, writes),
      written: (handles) => this.#readAgain(handles),
    });
    this.jobs = new Jobs({
      supervisor: this.supervisor,
      store: this.#jobHistory,
      targets: this.targets,
      ask: (handle, request) => this.gate.ask(handle, request),
      images: this.images,
      labs: () => this.labs.uses(),
      changed: (rows) => {
        this.window.send('jobs.changed', rows);
        this.#showJobs();
      },
      progress: (id, progress) => {
        this.window.send('jobs.progress', { id, progress });
        this.#showJobs();
      },
      ended: (row) => tellEnd(row, this.window, this.text),
      trouble: (error) => this.notices.addError(error),
    });
    this.trials = new Trials({
      supervisor: this.supervisor,
      folder: join(app.getPath('userData'), 'qemu-schemas'),
      path: (handle) => this.images.path(handle),
      progress: (progress) => this.window.send('qemu.trying', progress),
    });
    this.settings.onChange((settings) => this.#apply(settings));
    this.#apply(this.settings.value);
  }

  get locale(): Locale {
    return this.settings.value.locale ?? this.systemLocale;
  }

  /** A text of menus and dialogs. */
  readonly text = (key: string): string => translator(this.locale)(key);

  /** Attaches files; what cannot be attached is told in a notice, once for all that are too many. */
  attach(files: readonly string[]): ImageHandle[] {
    const told = new Set<string>();
    const attach = (file: string): ImageHandle[] => {
      try {
        return [this.images.attach(file)];
      } catch (error) {
        const code = error instanceof PlatterError ? error.code : '';
        if (code !== 'image.too-many' || !told.has(code)) this.notices.addError(error);
        told.add(code);
        return [];
      }
    };
    return this.images.together(() => files.flatMap(attach));
  }

  /** Attaches the files of the last run again and gives the kept session their new handles. */
  restore(): void {
    const { session, files } = this.work.value;
    this.#restoring = true;
    const handles = new Map<string, ImageHandle>();
    this.images.together(() => {
      for (const { handle, path } of files) {
        for (const given of this.attach([path])) handles.set(handle, given);
      }
    });
    this.#restoring = false;
    if (files.length > 0) {
      this.saveSession(withNewHandles(session, handles)).catch((error) => this.notices.addError(error));
    }
  }

  /** Keeps the open work, with the attached files. */
  async saveSession(session: Session): Promise<void> {
    if (this.#restoring) return;
    await this.work.set({ session, files: this.images.files() });
  }

  /** Questions that came up before the page was there. */
  askWaitingQuestions(): void {
    for (const question of this.gate.waiting()) this.window.send('gate.ask', question);
  }

  /** Closes labs and images, and waits for what is still being written. */
  async close(): Promise<void> {
    this.gate.denyAll();
    this.images.close();
    await Promise.all([this.labs.closeAll(), this.trials.cancel(), this.jobs.closeAll()]);
    await this.supervisor.endAll();
    await Promise.all([
      this.settings.settled(),
      this.work.settled(),
      this.#windowState.settled(),
      this.#jobHistory.settled(),
    ]);
  }

  #apply(settings: Settings): void {
    applyTheme(settings.theme);
    installMenu(this.locale, (command) => this.window.send('command', command));
  }

  /** All running jobs on the window's button in the taskbar. */
  #showJobs(): void {
    this.window.electron?.setProgressBar(taskbarFraction(this.jobs.list()));
  }

  #pageGone(): void {
    // Labs belong to the page that shows them; questions wait for the next page while there is a window.
    void this.labs.closeAll();
    void this.trials.cancel();
    if (!this.window.exists) this.gate.denyAll();
  }

  /** What their processes know of these images is out of date. */
  #readAgain(handles: ImageHandle[]): void {
    // An image that does not open any more shows it in its row.
    for (const handle of handles) this.images.reopen(handle).catch(() => undefined);
  }
}
