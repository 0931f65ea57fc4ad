/**
 * What the trial does with each option that is none of storage's business. It is a list of what is let through: an option that
 * does not stand here is left out. Source: qemu-options.hx, softmmu/vl.c (what each option opens, starts or writes).
 */

/** Options that touch nothing outside of QEMU, whatever their argument is. */
export const HARMLESS: ReadonlySet<string> = new Set(
  (
    'smp boot name uuid rtc usb vga no-acpi no-hpet no-fd-bootchk no-reboot no-shutdown nodefaults snapshot cpu machine M m ' +
    'global set numa rotate portrait win2k-hack only-migratable watchdog compat no-user-config g prom-env old-param'
  ).split(' '),
);

/** Options that the trial handles one by one. */
export const HANDLED: ReadonlySet<string> = new Set(
  (
    'drive blockdev device object hda hdb hdc hdd cdrom fda fdb sd mtdblock pflash chardev netdev nic net audiodev serial ' +
    'parallel debugcon usbdevice'
  ).split(' '),
);

/** Options that are left out, by the reason that is told. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  // The trial has its own.
  accel: 'accel',
  'enable-kvm': 'accel',
  'no-kvm': 'accel',
  'no-kvm-irqchip': 'accel',
  'no-kvm-pit': 'accel',
  'kvm-shadow-memory': 'accel',
  'tb-size': 'accel',
  singlestep: 'accel',
  S: 'paused',
  preconfig: 'paused',
  sandbox: 'sandbox',
  display: 'display',
  sdl: 'display',
  curses: 'display',
  nographic: 'nographic',
  'full-screen': 'display',
  'no-frame': 'display',
  'no-quit': 'display',
  'alt-grab': 'display',
  'ctrl-grab': 'display',
  k: 'display',
  vnc: 'listens',
  spice: 'listens',
  gdb: 'listens',
  s: 'listens',
  monitor: 'monitor',
  mon: 'monitor',
  qmp: 'monitor',
  'qmp-pretty': 'monitor',
  incoming: 'incoming',
  loadvm: 'loadvm',
  // What would be written or read on this machine.
  daemonize: 'daemonize',
  pidfile: 'writes-file',
  D: 'writes-file',
  d: 'log',
  dfilter: 'log',
  trace: 'log',
  msg: 'log',
  'semihosting-config': 'host',
  semihosting: 'host',
  writeconfig: 'writes-file',
  'dump-vmstate': 'writes-file',
  icount: 'icount',
  readconfig: 'reads-options',
  chroot: 'host',
  runas: 'host',
  'run-with': 'host',
  'add-fd': 'host',
  plugin: 'code',
  kernel: 'boot-file',
  initrd: 'boot-file',
  append: 'boot-file',
  dtb: 'boot-file',
  shim: 'boot-file',
  bios: 'boot-file',
  'option-rom': 'boot-file',
  L: 'boot-file',
  fw_cfg: 'boot-file',
  acpitable: 'boot-file',
  smbios: 'boot-file',
  fsdev: 'shares-folder',
  virtfs: 'shares-folder',
  smb: 'shares-folder',
  tftp: 'shares-folder',
  bootp: 'shares-folder',
  redir: 'listens',
  tpmdev: 'host',
  'audio-drv': 'audio',
  soundhw: 'audio',
  audio: 'audio',
  'audio-help': 'prints',
  'mem-path': 'memory',
  'mem-prealloc': 'memory',
  overcommit: 'memory',
  realtime: 'memory',
  'async-teardown': 'host',
  action: 'guest-runs-not',
  'watchdog-action': 'guest-runs-not',
  echr: 'guest-runs-not',
  seed: 'guest-runs-not',
  iscsi: 'network-storage',
  h: 'prints',
  help: 'prints',
  version: 'prints',
  'enable-sync-profile': 'log',
  nodefconfig: 'host',
  igd: 'host',
};

/** Why the option is left out; `option` for one that nothing more is known of. */
export function reasonLeftOut(name: string): string {
  return Object.hasOwn(LEFT_OUT, name) ? LEFT_OUT[name] : 'option';
}

/** Devices that reach for the host: hardware, files, sockets, other processes. */
const HOST_DEVICE =
  /^(?:vfio-|usb-host$|usb-redir$|vhost-|u2f-|ivshmem|usb-mtp$|ccid-card|tpm-|virtio-9p|virtio-crypto|virtio-input-host|x-|xen-|loader$|guest-loader$|pvrdma$|ipmi-bmc-extern$|cxl-type3$|igd-|qxl|isa-debug-?con$|.*-gl(?:-|$)|.*-rutabaga|nitro)/;

export function isHostDevice(driver: string): boolean {
  return HOST_DEVICE.test(driver);
}

/** Properties of type `str` that name nothing outside of QEMU (device-list-properties of QEMU 7.2). */
const HARMLESS_STRINGS: ReadonlySet<string> = new Set(
  (
    'driver id bus addr failover_pair_id port serial masterbus drive model ver hba_serial uuid device_id vendor product ' +
    'chardev chardev0 chardev1 chardev2 chardev3 chardev4 chardev5 chardev6 chardev7 netdev mac tx duplex name display ' +
    'audiodev osk mount_tag tag wwn iothread parent_id'
  ).split(' '),
);

/** Names of properties that lead out of QEMU, for devices whose properties are not known. */
const SUSPICIOUS =
  /(?:file|path|dir|socket|script|(?:^|[-_])(?:fd|cmd|exec|log|host|dev|raw|pcap|cert\d?|db|evdev|cdat|sysfsdev)|fd|log|hidraw|host)(?:s|\d)?$/;

/**
 * Whether a property may be handed over. One that this QEMU does not know is: it will be refused.
 * @param type its type as QEMU tells it, `unknown` for a device whose properties are not known, undefined for no such property
 */
export function isHarmlessProperty(name: string, type: string | undefined): boolean {
  if (HARMLESS_STRINGS.has(name)) return true;
  if (type === undefined) return true;
  if (type === 'unknown') return !SUSPICIOUS.test(name);
  return type !== 'str' && type !== 'string';
}

/** `-object` types that touch nothing outside of QEMU. */
export const HARMLESS_OBJECTS: ReadonlySet<string> = new Set([
  'iothread',
  'throttle-group',
  'secret',
  'memory-backend-ram',
  'rng-builtin',
  'main-loop',
  'authz-list',
  'authz-simple',
  'tls-cipher-suites',
  'can-bus',
]);

/** Objects that are replaced by a harmless one, so that what refers to them finds it. */
export const OBJECT_INSTEAD: Readonly<Record<string, string>> = {
  'memory-backend-file': 'memory-backend-ram',
  'memory-backend-memfd': 'memory-backend-ram',
  'memory-backend-epc': 'memory-backend-ram',
  'rng-random': 'rng-builtin',
  'rng-egd': 'rng-builtin',
};

/** Members of `-machine` that name files, or belong to an accelerator. */
export const MACHINE_LEFT_OUT: ReadonlySet<string> = new Set([
  'accel',
  'kernel-irqchip',
  'kernel_irqchip',
  'kvm-shadow-mem',
  'kernel',
  'initrd',
  'append',
  'dtb',
  'dumpdtb',
  'shim',
  'firmware',
  'memory-encryption',
  'confidential-guest-support',
  'igd-passthru',
  'mem-merge',
]);

/** `-usbdevice` names that stand for a device within QEMU. */
export const USB_DEVICES: ReadonlySet<string> = new Set(['mouse', 'tablet', 'keyboard', 'wacom-tablet']);

/** Kinds of `-serial`, `-parallel` that are kept. */
export function isQuietBackend(argument: string): boolean {
  return argument === 'none' || argument === 'null' || argument.startsWith('chardev:');
}
