/** The menu bar: our commands by their ids, the rest by Electron's roles. Pure. */
import type { MenuItemConstructorOptions } from 'electron';

export interface MenuOptions {
  /** Text of a key of `resources/messages/<locale>/menu.json`. */
  text: (key: string) => string;
  /** Sends a command's id to the page. */
  run: (command: string) => void;
  mac: boolean;
  /** Reload and developer tools, which a packaged application does without. */
  developer: boolean;
}

const SEPARATOR: MenuItemConstructorOptions = { type: 'separator' };

export function menuTemplate(options: MenuOptions): MenuItemConstructorOptions[] {
  const { text, mac } = options;
  const menu = (key: string, items: MenuItemConstructorOptions[]): MenuItemConstructorOptions => ({
    // macOS knows no mnemonics.
    label: mac ? text(key).replace(/\(&\w\)|&/, '') : text(key),
    submenu: items,
  });
  return [
    ...(mac ? [appMenu(options)] : []),
    menu('file', fileItems(options)),
    menu('edit', editItems(options)),
    menu('view', viewItems(options)),
    menu('lab', labItems(options)),
    ...(mac ? [{ label: text('window'), role: 'windowMenu' } as const] : []),
    menu('help', [role(options, 'about')]),
  ];
}

type Role = NonNullable<MenuItemConstructorOptions['role']>;

/** An item that Electron itself carries out, in our words. */
function role({ text }: MenuOptions, name: Role): MenuItemConstructorOptions {
  return { role: name, label: text(`role.${name}`) };
}

/** An item that the page carries out. */
function command({ text, run }: MenuOptions, id: string, accelerator?: string): MenuItemConstructorOptions {
  return { id, label: text(id), accelerator, click: () => run(id) };
}

function appMenu(options: MenuOptions): MenuItemConstructorOptions {
  const roles: Role[] = ['about', 'services', 'hide', 'hideOthers', 'unhide', 'quit'];
  return { label: 'Platter', submenu: roles.map((name) => role(options, name)) };
}

function fileItems(options: MenuOptions): MenuItemConstructorOptions[] {
  return [
    command(options, 'images.pick', 'CmdOrCtrl+O'),
    command(options, 'images.attachSample'),
    SEPARATOR,
    role(options, options.mac ? 'close' : 'quit'),
  ];
}

function editItems(options: MenuOptions): MenuItemConstructorOptions[] {
  return [
    role(options, 'undo'),
    role(options, 'redo'),
    SEPARATOR,
    role(options, 'cut'),
    role(options, 'copy'),
    role(options, 'paste'),
    role(options, 'selectAll'),
  ];
}

function viewItems(options: MenuOptions): MenuItemConstructorOptions[] {
  return [
    command(options, 'palette.open', 'CmdOrCtrl+Shift+P'),
    SEPARATOR,
    command(options, 'workspace.images', 'CmdOrCtrl+1'),
    command(options, 'workspace.machine', 'CmdOrCtrl+2'),
    command(options, 'workspace.lab', 'CmdOrCtrl+3'),
    command(options, 'workspace.learn', 'CmdOrCtrl+4'),
    SEPARATOR,
    command(options, 'go.back', options.mac ? 'Cmd+[' : 'Alt+Left'),
    command(options, 'go.forward', options.mac ? 'Cmd+]' : 'Alt+Right'),
    SEPARATOR,
    command(options, 'view.theme.toggle', 'CmdOrCtrl+Shift+L'),
    command(options, 'view.locale.toggle'),
    SEPARATOR,
    role(options, 'resetZoom'),
    role(options, 'zoomIn'),
    role(options, 'zoomOut'),
    role(options, 'togglefullscreen'),
    ...(options.developer ? [SEPARATOR, role(options, 'reload'), role(options, 'toggleDevTools')] : []),
  ];
}

function labItems(options: MenuOptions): MenuItemConstructorOptions[] {
  return [command(options, 'lab.runPause', 'F5'), command(options, 'lab.step', 'F10')];
}
