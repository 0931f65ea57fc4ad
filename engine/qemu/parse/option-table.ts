/**
 * Every option of qemu-system-* and how its argument reads. Source: qemu-options.hx and softmmu/vl.c of QEMU 7.2 with the
 * additions up to 10.2; options that later versions removed stay, so that old lines are still understood.
 *
 * `flag` takes no argument; `text` takes one that is not a list; `opts` is `key=value,…` with short-form booleans;
 * `keyval` is the newer form without them; `rest` is one `key=value` whose value runs to the end.
 */
export type OptionStyle = 'flag' | 'text' | 'opts' | 'keyval' | 'rest';

export interface OptionKind {
  style: OptionStyle;
  /** Key of a bare first word. */
  implied?: string;
  /** Takes a JSON object instead of a list as well. */
  json?: boolean;
}

const table = new Map<string, OptionKind>();

function add(style: OptionStyle, names: string): void {
  for (const name of names.split(' ')) table.set(name, { style });
}

add(
  'flag',
  'h help version mem-prealloc audio-help snapshot usb nographic portrait full-screen win2k-hack no-fd-bootchk no-acpi ' +
    'no-hpet singlestep preconfig S s enable-kvm xen-attach xen-domid-restrict no-reboot no-shutdown daemonize ' +
    'only-migratable nodefaults no-user-config nodefconfig async-teardown enable-sync-profile xen-create no-quit ' +
    'no-kvm no-frame sdl curses alt-grab ctrl-grab no-kvm-irqchip no-kvm-pit no-kvm-pit-reinjection tdf localtime rtc-td-hack show-cursor enable-fips old-param semihosting prom-env-off',
);
add(
  'text',
  'cpu mem-path k audio-drv uuid fda fdb hda hdb hdc hdd cdrom mtdblock sd pflash usbdevice display rotate vga vnc bios ' +
    'kernel append initrd dtb serial parallel monitor qmp qmp-pretty debugcon pidfile gdb d D dfilter seed L xen-domid ' +
    'loadvm option-rom watchdog watchdog-action echr incoming chroot runas run-with readconfig writeconfig plugin ' +
    'dump-vmstate hdachs balloon startdate tb-size prom-env g soundhw shim bt smb tftp bootp redir kvm-shadow-memory igd',
);
add('rest', 'global set');

const lists: [name: string, implied: string | undefined, style: OptionStyle, json?: boolean][] = [
  ['drive', undefined, 'opts'],
  ['device', 'driver', 'opts', true],
  ['blockdev', 'driver', 'keyval', true],
  ['object', 'qom-type', 'keyval', true],
  ['machine', 'type', 'keyval'],
  ['M', 'type', 'keyval'],
  ['accel', 'accel', 'opts'],
  ['smp', 'cpus', 'keyval'],
  ['m', 'size', 'opts'],
  ['boot', 'order', 'opts'],
  ['chardev', 'backend', 'opts'],
  ['netdev', 'type', 'keyval', true],
  ['nic', 'type', 'opts'],
  ['net', 'type', 'opts'],
  ['numa', 'type', 'opts'],
  ['name', 'guest', 'opts'],
  ['rtc', undefined, 'opts'],
  ['icount', 'shift', 'opts'],
  ['fsdev', 'fsdriver', 'opts'],
  ['virtfs', 'fsdriver', 'opts'],
  ['iscsi', undefined, 'opts'],
  ['mon', 'chardev', 'opts'],
  ['overcommit', undefined, 'opts'],
  ['realtime', undefined, 'opts'],
  ['sandbox', 'enable', 'opts'],
  ['msg', undefined, 'opts'],
  ['add-fd', undefined, 'opts'],
  ['acpitable', undefined, 'opts'],
  ['smbios', undefined, 'opts'],
  ['tpmdev', 'type', 'opts'],
  ['audiodev', 'driver', 'keyval', true],
  ['audio', 'driver', 'keyval'],
  ['spice', undefined, 'opts'],
  ['fw_cfg', 'name', 'opts'],
  ['action', undefined, 'opts'],
  ['compat', undefined, 'keyval'],
  ['trace', 'enable', 'opts'],
  ['semihosting-config', 'enable', 'opts'],
  ['export', 'type', 'keyval', true],
  ['nbd-server', undefined, 'keyval', true],
];
for (const [name, implied, style, json] of lists) {
  table.set(name, {
    style,
    ...(implied === undefined ? {} : { implied }),
    ...(json === true ? { json } : {}),
  });
}

/** How the option of that name (without dashes) reads, or undefined when no QEMU knows it. */
export function optionKind(name: string): OptionKind | undefined {
  return table.get(name);
}

/** Every option name, without dashes. */
export function optionNames(): string[] {
  return [...table.keys()];
}
