/** The command line's commands for the palette, the menu and the keyboard. */
import { registerCommands } from '../../commands/registry.ts';
import { useAppStore } from '../../stores/app.ts';
import { useMachineStore } from '../../stores/machine.ts';

/** Registers them; answers what takes them away again. */
export function registerMachineCommands(): () => void {
  const app = useAppStore();
  const machine = useMachineStore();
  const group = 'shell.workspace.machine';
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
      id: 'machine.sample',
      group,
      title: 'machine.command.sample',
      when: () => app.workspace === 'machine',
      run: () => {
        machine.text = machine.sample;
      },
    },
  ]);
}
