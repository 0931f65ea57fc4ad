/** The lab's commands for the palette, the menu and the keyboard. */
import { registerCommands, type Command } from '../../commands/registry.ts';
import type { StepKind } from '#contract/lab.ts';
import { useAppStore } from '../../stores/app.ts';
import { useLabStore } from '../../stores/lab.ts';
import { useNavigationStore } from '../../stores/navigation.ts';

/** Registers them; answers what takes them away again. */
export function registerLabCommands(): () => void {
  const app = useAppStore();
  const lab = useLabStore();
  const navigation = useNavigationStore();
  const hasLine = () => app.session.line.trim() !== '';
  const there = (): void => {
    if (app.workspace !== 'lab') navigation.go({ workspace: 'lab' });
  };
  const exists = () => lab.state !== null;
  const command = (name: string, rest: Omit<Command, 'id' | 'group' | 'title'>): Command => ({
    id: `lab.${name}`,
    group: 'shell.workspace.lab',
    title: `lab.command.${name}`,
    ...rest,
  });
  const step = (kind: StepKind) => ({
    when: () => hasLine() && !lab.running,
    run: () => {
      there();
      return lab.step(kind);
    },
  });
  return registerCommands([
    command('runPause', {
      shortcut: 'F5',
      when: () => hasLine(),
      run: () => {
        there();
        return lab.runPause();
      },
    }),
    command('step', { shortcut: 'F10', ...step('event') }),
    command('stepRequest', { shortcut: 'F11', ...step('request') }),
    command('restart', {
      shortcut: 'Shift+F5',
      when: () => exists(),
      run: () => {
        there();
        return lab.restart();
      },
    }),
    command('close', { when: exists, run: () => lab.close() }),
    command('saveTrace', { when: exists, run: () => lab.saveTrace() }),
    command('clock.toggle', {
      run: () => {
        lab.clock = lab.clock === 'real' ? 'model' : 'real';
      },
    }),
    command('request.release', {
      shortcut: 'Escape',
      when: () => app.workspace === 'lab' && lab.request !== null,
      run: () => lab.selectRequest(null),
    }),
  ]);
}
