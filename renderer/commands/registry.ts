/** Every command of the application: the palette, the menu and the shortcuts all run these. */
import { shallowReactive } from 'vue';
import { useAppStore } from '../stores/app.ts';

export interface Command {
  /** `area.verb`; menus and tests know a command by it. */
  id: string;
  /** Message key of its title; `commands.<id>` when left out. */
  title?: string;
  /** Message key of the group it stands under in the palette. */
  group: string;
  /** `Mod+Shift+P`: `Mod` is Ctrl, on macOS Cmd. */
  shortcut?: string;
  /** Whether it can run now; always when left out. */
  when?: () => boolean;
  run: () => void | Promise<unknown>;
}

const commands = shallowReactive(new Map<string, Command>());

/** Adds commands; answers what takes them away again (call it when the part that offers them goes). */
export function registerCommands(list: Command[]): () => void {
  for (const command of list) commands.set(command.id, command);
  return () => {
    for (const command of list) {
      if (commands.get(command.id) === command) commands.delete(command.id);
    }
  };
}

export function allCommands(): Command[] {
  return [...commands.values()];
}

export function titleKey(command: Command): string {
  return command.title ?? `commands.${command.id}`;
}

export function isEnabled(command: Command): boolean {
  return command.when?.() ?? true;
}

/** Runs a command by its id if it is there and enabled; failures become a notice. Answers whether it ran. */
export async function runCommand(id: string): Promise<boolean> {
  const command = commands.get(id);
  if (command === undefined || !isEnabled(command)) return false;
  try {
    await command.run();
  } catch (error) {
    useAppStore().report(error);
  }
  return true;
}
