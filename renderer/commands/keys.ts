/** Runs the command whose shortcut was pressed. */
import { allCommands, isEnabled, runCommand } from './registry.ts';
import { matches } from './shortcuts.ts';

/** A key alone belongs to the field that is being typed in; with Ctrl, Alt or Cmd it is a shortcut everywhere. */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  const field = target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
  return field && !event.ctrlKey && !event.metaKey && !event.altKey && !/^F\d+$/.test(event.key);
}

export function runFromKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || isTyping(event)) return;
  const command = allCommands().find(
    (one) => one.shortcut !== undefined && matches(one.shortcut, event) && isEnabled(one),
  );
  if (command === undefined) return;
  event.preventDefault();
  void runCommand(command.id);
}
