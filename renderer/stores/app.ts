/** What the whole application shares: settings, open work, notices, processes, the present workspace. */
import { defineStore } from 'pinia';
import { computed, reactive, ref, watch } from 'vue';
import type { AppStart, ProcessRow } from '#contract/calls.ts';
import type { PlainError } from '#contract/error.ts';
import type { Session, Settings, Workspace } from '#contract/settings.ts';
import { setLocale } from '../i18n/index.ts';
import { debounce } from '../lib/debounce.ts';
import { asPlainError, platter } from '../lib/platter.ts';

export interface Notice {
  id: number;
  /** Key under `notices.`; or an error to show instead. */
  key?: string;
  params?: Record<string, string>;
  error?: PlainError;
}

/** How long settings and open work must be at rest before they are written, in milliseconds. */
const SAVE_AFTER = 300;

export const useAppStore = defineStore('app', () => {
  const settings = reactive<Settings>({
    locale: null,
    theme: 'system',
    radix: 'hex',
    layout: {},
    qemuVersion: '10.2',
  });
  const session = reactive<Session>({
    workspace: 'images',
    line: '',
    bindings: [],
    configs: [],
    selectedImage: null,
  });
  const start = ref<AppStart | null>(null);
  const startError = ref<PlainError | null>(null);
  const notices = ref<Notice[]>([]);
  const processes = ref<ProcessRow[]>([]);
  const paletteOpen = ref(false);
  const systemDark = ref(matchMedia('(prefers-color-scheme: dark)').matches);

  const locale = computed(() => settings.locale ?? start.value?.systemLocale ?? 'en');
  const theme = computed(() =>
    settings.theme === 'system' ? (systemDark.value ? 'dark' : 'light') : settings.theme,
  );
  const workspace = computed({
    get: (): Workspace => session.workspace,
    set: (value) => {
      session.workspace = value;
    },
  });

  let noticeId = 0;
  function notify(notice: Omit<Notice, 'id'>): void {
    noticeId += 1;
    notices.value.push({ id: noticeId, ...notice });
  }
  /** Shows what went wrong where no better place for it is on the screen. */
  function report(error: unknown): void {
    notify({ error: asPlainError(error) });
  }
  function dismiss(id: number): void {
    notices.value = notices.value.filter((notice) => notice.id !== id);
  }

  let unsaved: Partial<Settings> = {};
  const saveSettings = debounce(() => {
    const part = unsaved;
    unsaved = {};
    platter.call('settings.set', part).catch(report);
  }, SAVE_AFTER);
  /** Changes settings at once on the screen and a moment later on the disk. */
  function setSettings(part: Partial<Settings>): void {
    Object.assign(settings, part);
    unsaved = { ...unsaved, ...part };
    saveSettings();
  }
  function setLayout(name: string, sizes: number[]): void {
    setSettings({ layout: { ...settings.layout, [name]: sizes } });
  }
  const saveSession = debounce(() => {
    platter.call('session.save', session).catch(report);
  }, SAVE_AFTER);

  /** Asks main for settings and work, applies them, and listens. */
  async function begin(): Promise<void> {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
      systemDark.value = event.matches;
    });
    watch(locale, setLocale, { immediate: true });
    watch(theme, (value) => (document.documentElement.dataset['theme'] = value), { immediate: true });
    try {
      const answer = await platter.call('app.start');
      Object.assign(settings, answer.settings);
      Object.assign(session, answer.session);
      start.value = answer;
      for (const notice of answer.notices) notify(notice);
      platter.on('notice', notify);
      platter.on('processes.changed', (rows) => (processes.value = rows));
      watch(session, saveSession, { deep: true });
      addEventListener('beforeunload', () => {
        saveSettings.flush();
        saveSession.flush();
      });
    } catch (error) {
      startError.value = asPlainError(error);
    }
  }

  return {
    settings,
    session,
    start,
    startError,
    notices,
    processes,
    paletteOpen,
    locale,
    theme,
    workspace,
    notify,
    report,
    dismiss,
    setSettings,
    setLayout,
    begin,
  };
});
