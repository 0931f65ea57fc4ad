/** The commands of the window itself. */
import type { Theme } from '#contract/settings.ts';
import { useAppStore } from '../stores/app.ts';
import { useImagesStore } from '../stores/images.ts';
import { useJobsStore } from '../stores/jobs.ts';
import { useNavigationStore } from '../stores/navigation.ts';
import { workspaces } from '../shell/workspaces.ts';
import { registerCommands, type Command } from './registry.ts';

export function registerShellCommands(): () => void {
  const app = useAppStore();
  const images = useImagesStore();
  const jobs = useJobsStore();
  const navigation = useNavigationStore();

  const go = workspaces.map((workspace, index): Command => ({
    id: `workspace.${workspace.id}`,
    group: 'commands.group.go',
    shortcut: `Mod+${index + 1}`,
    run: () => navigation.go({ workspace: workspace.id }),
  }));
  const theme = (value: Theme): Command => ({
    id: `view.theme.${value}`,
    group: 'commands.group.view',
    when: () => app.settings.theme !== value,
    run: () => app.setSettings({ theme: value }),
  });

  return registerCommands([
    ...go,
    {
      id: 'palette.open',
      group: 'commands.group.go',
      shortcut: 'Mod+Shift+P',
      run: () => {
        app.paletteOpen = !app.paletteOpen;
      },
    },
    {
      id: 'go.back',
      group: 'commands.group.go',
      shortcut: 'Alt+ArrowLeft',
      when: () => navigation.canBack,
      run: navigation.back,
    },
    {
      id: 'go.forward',
      group: 'commands.group.go',
      shortcut: 'Alt+ArrowRight',
      when: () => navigation.canForward,
      run: navigation.forward,
    },
    { id: 'images.pick', group: 'commands.group.images', shortcut: 'Mod+O', run: images.pick },
    {
      id: 'images.create',
      group: 'commands.group.images',
      shortcut: 'Mod+N',
      run: () => {
        jobs.createOpen = true;
      },
    },
    {
      id: 'jobs.show',
      group: 'commands.group.images',
      shortcut: 'Mod+J',
      run: () => {
        jobs.panelOpen = !jobs.panelOpen;
      },
    },
    { id: 'images.attachSample', group: 'commands.group.images', run: images.attachSample },
    {
      id: 'images.reopen',
      group: 'commands.group.images',
      when: () => images.selected !== null,
      run: () => images.reopen(images.selected?.handle ?? ''),
    },
    {
      id: 'images.detach',
      group: 'commands.group.images',
      when: () => images.selected !== null,
      run: () => images.detach(images.selected?.handle ?? ''),
    },
    theme('system'),
    theme('light'),
    theme('dark'),
    {
      id: 'view.theme.toggle',
      group: 'commands.group.view',
      shortcut: 'Mod+Shift+L',
      run: () => app.setSettings({ theme: app.theme === 'dark' ? 'light' : 'dark' }),
    },
    {
      id: 'view.locale.toggle',
      group: 'commands.group.view',
      run: () => app.setSettings({ locale: app.locale === 'en' ? 'zh-CN' : 'en' }),
    },
    {
      id: 'view.radix.toggle',
      group: 'commands.group.view',
      shortcut: 'Alt+H',
      run: () => app.setSettings({ radix: app.settings.radix === 'hex' ? 'dec' : 'hex' }),
    },
    {
      id: 'view.layout.reset',
      group: 'commands.group.view',
      run: () => app.setSettings({ layout: {} }),
    },
  ]);
}
