/** The command line's commands for the palette, the menu and the keyboard. */
import { registerCommands } from '../../commands/registry.ts';
import { useAppStore } from '../../stores/app.ts';
import { useMachineStore } from '../../stores/machine.ts';
import { useTrialStore } from '../../stores/trial.ts';
import { useToolStore } from './tools/tool-state.ts';

/** Registers them; answers what takes them away again. */
export function registerMachineCommands(): () => void {
  const app = useAppStore();
  const machine = useMachineStore();
  const tool = useToolStore();
  const trial = useTrialStore();
  const group = 'shell.workspace.machine';
  /** Fields keep their own undo. */
  const outside = () =>
    app.workspace === 'machine' && !['INPUT', 'TEXTAREA'].includes(document.activeElement?.tagName ?? '');
  return registerCommands([
    {
      id: 'machine.fixAll',
      group,
      title: 'machine.command.fixAll',
      shortcut: 'Mod+.',
      when: () => app.workspace === 'machine' && machine.fixable > 0,
      run: () => machine.fixEverything(),
    },
    {
      id: 'machine.try',
      group,
      title: 'try.command.run',
      when: () => app.workspace === 'machine' && machine.line.options.length > 0 && trial.stage === null,
      run: () => trial.run(),
    },
    {
      id: 'machine.tidy',
      group,
      title: 'machine.command.tidy',
      shortcut: 'Shift+Alt+F',
      when: () => app.workspace === 'machine' && machine.line.options.length > 0,
      run: () => machine.tidy(),
    },
    {
      id: 'machine.undo',
      group,
      title: 'machine.command.undo',
      shortcut: 'Mod+Z',
      when: () => outside() && machine.undoable,
      run: () => void machine.editor?.undo(),
    },
    {
      id: 'machine.redo',
      group,
      title: 'machine.command.redo',
      shortcut: 'Mod+Shift+Z',
      when: () => outside() && machine.redoable,
      run: () => void machine.editor?.redo(),
    },
    {
      id: 'machine.sample',
      group,
      title: 'machine.command.sample',
      when: () => app.workspace === 'machine',
      run: () => {
        machine.text = machine.sample;
      },
    },
    {
      id: 'machine.recipes',
      group,
      title: 'machine.command.recipes',
      when: () => app.workspace === 'machine',
      run: () => {
        trial.tab = 'recipes';
      },
    },
    {
      id: 'machine.read',
      group,
      title: 'machine.command.read',
      when: () => app.workspace === 'machine',
      run: () => {
        tool.direction = 'read';
        trial.tab = 'convert';
      },
    },
  ]);
}
