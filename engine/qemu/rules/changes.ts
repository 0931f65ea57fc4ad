/**
 * What was deprecated and removed, by version. Source: docs/about/deprecated.rst and removed-features.rst. (`scsi=` of
 * virtio-blk, moved `-drive` options, short-form booleans and an empty `backing` have rules of their own.)
 */
import { setKey, setValue } from '../edit.ts';
import type { Fix, Option, Param, TextEdit } from '../model.ts';
import { compareVersions } from '../model/version.ts';
import type { BlockNode, Device, StorageModel } from '../storage-model.ts';
import { fix, rule, type Finding } from './rule.ts';

export interface Change {
  kind: 'option' | 'device' | 'property' | 'protocol' | 'member';
  /** Option, device, `device.property`, protocol driver, `option.key` or `option.key=value`. */
  name: string;
  deprecated?: string;
  removed?: string;
  /** What to write instead, as it stands on the line. */
  instead?: string;
}

export const CHANGES: readonly Change[] = [
  { kind: 'device', name: 'ide-drive', deprecated: '4.2', removed: '6.0', instead: 'ide-hd' },
  { kind: 'device', name: 'scsi-disk', deprecated: '4.2', removed: '6.0', instead: 'scsi-hd' },
  { kind: 'device', name: 'ivshmem', removed: '4.0', instead: 'ivshmem-plain' },
  { kind: 'device', name: 'sga', deprecated: '6.2', removed: '8.0' },
  { kind: 'device', name: 'pvrdma', deprecated: '8.2', removed: '9.1' },
  { kind: 'device', name: 'vhost-user-blk-device', instead: 'vhost-user-blk' },
  { kind: 'property', name: 'isa-fdc.driveA', removed: '6.0', instead: '-device floppy,unit=0,drive=…' },
  { kind: 'property', name: 'isa-fdc.driveB', removed: '6.0', instead: '-device floppy,unit=1,drive=…' },
  { kind: 'property', name: 'nvme.use-intel-id', deprecated: '7.1' },
  { kind: 'property', name: 'nvme-ns.eui64-default', deprecated: '7.1', instead: 'eui64=…' },
  { kind: 'protocol', name: 'sheepdog', deprecated: '5.2', removed: '6.1' },
  { kind: 'protocol', name: 'vxhs', removed: '5.1' },
  { kind: 'protocol', name: 'gluster', deprecated: '9.2' },
  { kind: 'member', name: 'iscsi.password', deprecated: '8.0', instead: 'password-secret=…' },
  {
    kind: 'member',
    name: 'chardev.reconnect',
    deprecated: '9.2',
    removed: '10.2',
    instead: 'reconnect-ms=…',
  },
  { kind: 'member', name: 'chardev.backend=memory', deprecated: '9.0', instead: 'ringbuf' },
  { kind: 'member', name: 'chardev.backend=tty', deprecated: '6.0', removed: '8.0', instead: 'serial' },
  { kind: 'member', name: 'chardev.backend=parport', deprecated: '6.0', removed: '8.0', instead: 'parallel' },
  { kind: 'option', name: 'hdachs', removed: '2.12', instead: '-device ide-hd,cyls=…,heads=…,secs=…' },
  { kind: 'option', name: 'no-kvm-pit', removed: '2.12' },
  { kind: 'option', name: 'tdf', removed: '2.12' },
  { kind: 'option', name: 'no-kvm-irqchip', removed: '3.0', instead: '-machine kernel_irqchip=off' },
  { kind: 'option', name: 'no-kvm-pit-reinjection', removed: '3.0' },
  { kind: 'option', name: 'balloon', removed: '3.1', instead: '-device virtio-balloon' },
  { kind: 'option', name: 'bootp', removed: '3.1', instead: '-netdev user,bootp=…' },
  { kind: 'option', name: 'redir', removed: '3.1', instead: '-netdev user,hostfwd=…' },
  { kind: 'option', name: 'smb', removed: '3.1', instead: '-netdev user,smb=…' },
  { kind: 'option', name: 'tftp', removed: '3.1', instead: '-netdev user,tftp=…' },
  { kind: 'option', name: 'localtime', removed: '3.1', instead: '-rtc base=localtime' },
  { kind: 'option', name: 'nodefconfig', removed: '3.1', instead: '-no-user-config' },
  { kind: 'option', name: 'rtc-td-hack', removed: '3.1', instead: '-rtc driftfix=slew' },
  { kind: 'option', name: 'startdate', removed: '3.1', instead: '-rtc base=…' },
  { kind: 'option', name: 'no-kvm', removed: '5.2', instead: '-accel tcg' },
  { kind: 'option', name: 'realtime', removed: '6.0', instead: '-overcommit mem-lock=on' },
  { kind: 'option', name: 'show-cursor', removed: '6.0', instead: '-display …,show-cursor=on' },
  { kind: 'option', name: 'tb-size', removed: '6.0', instead: '-accel tcg,tb-size=…' },
  { kind: 'option', name: 'no-quit', removed: '7.0', instead: '-display …,window-close=off' },
  { kind: 'option', name: 'enable-fips', removed: '7.1' },
  { kind: 'option', name: 'soundhw', removed: '7.1', instead: '-device …,audiodev=…' },
  { kind: 'option', name: 'writeconfig', removed: '7.1' },
  { kind: 'option', name: 'watchdog', deprecated: '6.2', removed: '7.2', instead: '-device' },
  { kind: 'option', name: 'no-hpet', deprecated: '8.0', removed: '9.0', instead: '-machine hpet=off' },
  { kind: 'option', name: 'no-acpi', deprecated: '8.0', removed: '9.0', instead: '-machine acpi=off' },
  {
    kind: 'option',
    name: 'async-teardown',
    deprecated: '8.1',
    removed: '9.0',
    instead: '-run-with async-teardown=on',
  },
  { kind: 'option', name: 'chroot', deprecated: '8.1', removed: '9.0', instead: '-run-with chroot=…' },
  {
    kind: 'option',
    name: 'singlestep',
    deprecated: '8.1',
    removed: '9.0',
    instead: '-accel tcg,one-insn-per-tb=on',
  },
  { kind: 'option', name: 'portrait', deprecated: '9.0', removed: '9.2' },
  { kind: 'option', name: 'rotate', deprecated: '9.0', removed: '9.2' },
  { kind: 'option', name: 'runas', deprecated: '9.1', removed: '10.0', instead: '-run-with user=…' },
  { kind: 'option', name: 'old-param', deprecated: '10.0', removed: '10.2' },
];

/** Whether QEMU of that version has lost this protocol driver. */
export function isGone(driver: string, version: string): boolean {
  return CHANGES.some(
    ({ kind, name, removed }) =>
      kind === 'protocol' &&
      name === driver &&
      removed !== undefined &&
      compareVersions(version, removed) >= 0,
  );
}

/** What of the line can have changed, by name. */
interface Named {
  options: Map<string, Option[]>;
  devices: Map<string, Device[]>;
  nodes: Map<string, BlockNode[]>;
}

const named = new WeakMap<StorageModel, Named>();

function namedParts(model: StorageModel): Named {
  const known = named.get(model);
  if (known !== undefined) return known;
  const parts: Named = { options: new Map(), devices: new Map(), nodes: new Map() };
  const visit = (node: BlockNode): void => {
    append(parts.nodes, node.driver, node);
    for (const child of node.children) if (child.node !== undefined) visit(child.node);
  };
  for (const option of model.line.options) append(parts.options, option.name, option);
  for (const device of model.devices) {
    append(parts.devices, device.driver, device);
    if (device.canonical !== device.driver) append(parts.devices, device.canonical, device);
  }
  for (const drive of model.drives) visit(drive.root);
  for (const node of model.blockdevs) visit(node);
  named.set(model, parts);
  return parts;
}

function append<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}

/** Whether QEMU of that version has lost this option. */
export function isGoneOption(option: string, version: string): boolean {
  return CHANGES.some(
    ({ kind, name, removed }) =>
      kind === 'option' && name === option && removed !== undefined && compareVersions(version, removed) >= 0,
  );
}

function* places(
  model: StorageModel,
  change: Change,
): Iterable<{ span: Finding['span']; fixes: Fix[]; says?: number }> {
  const { options, devices, nodes } = namedParts(model);
  switch (change.kind) {
    case 'option':
      for (const option of options.get(change.name) ?? [])
        yield { span: option.nameSpan, fixes: [], says: 1 };
      break;
    case 'device':
      for (const { driver, driverParam, option } of devices.get(change.name) ?? []) {
        if (driver !== change.name || driverParam === undefined) continue;
        const to = change.instead;
        yield {
          span: driverParam.valueSpan,
          fixes:
            to === undefined ? [] : [fix('replace', { from: driver, to }, setValue(option, driverParam, to))],
        };
      }
      break;
    case 'property': {
      const [driver, key] = change.name.split('.');
      for (const device of devices.get(driver) ?? []) {
        const param =
          device.canonical === driver ? device.option.params.find((p) => p.key === key) : undefined;
        if (param !== undefined) yield { span: param.span, fixes: [] };
      }
      break;
    }
    case 'protocol':
      for (const node of nodes.get(change.name) ?? []) {
        yield {
          span: node.driverParam?.valueSpan ?? node.filenameParam?.valueSpan ?? node.span,
          fixes: [],
          ...(node.driverParam === undefined ? {} : { says: 0 }),
        };
      }
      break;
    case 'member': {
      const [, name, key, value] = /^([^.]*)\.([^=]*)(?:=(.*))?$/.exec(change.name) ?? [];
      for (const option of options.get(name) ?? []) {
        const param = option.params.find((p) => p.key === key && (value === undefined || p.value === value));
        if (param === undefined) continue;
        const to = change.instead;
        const other = to?.endsWith('=…') === true ? to.slice(0, -2) : undefined;
        yield {
          span: value === undefined ? param.span : param.valueSpan,
          fixes:
            to === undefined ||
            (other !== undefined && param.key === 'reconnect' && !/^\d+$/.test(param.value))
              ? []
              : other === undefined
                ? [fix('replace', { from: param.value, to }, setValue(option, param, to))]
                : [fix('replace', { from: param.key, to: other }, ...renamed(option, param, other))],
        };
      }
      break;
    }
    default:
  }
}

/** The key under its new name; what counted seconds counts milliseconds there. */
function renamed(option: Option, param: Param, key: string): TextEdit[] {
  const edits = [setKey(option, param, key)];
  if (key.endsWith('-ms')) edits.push(setValue(option, param, String(Number(param.value) * 1000)));
  return edits;
}

export const changeRules = [
  rule({
    id: 'O07',
    severity: 'error',
    qemu: ["Parameter 'driver' does not accept value '{name}'", '-{name}: invalid option'],
    *find({ model, context }): Iterable<Finding> {
      for (const change of CHANGES) {
        if (change.removed === undefined && change.deprecated !== undefined) continue;
        if (change.removed !== undefined && compareVersions(context.version, change.removed) < 0) continue;
        for (const { span, fixes, says = -1 } of places(model, change)) {
          const params = { name: change.name, version: change.removed ?? '', instead: change.instead ?? '' };
          yield {
            span,
            says,
            params,
            fixes,
            variant:
              change.instead === undefined ? 'message' : change.removed === undefined ? 'never' : 'instead',
          };
        }
      }
    },
  }),
  rule({
    id: 'O08',
    severity: 'warning',
    qemu: [],
    *find({ model, context }): Iterable<Finding> {
      for (const change of CHANGES) {
        if (change.deprecated === undefined || compareVersions(context.version, change.deprecated) < 0)
          continue;
        if (change.removed !== undefined && compareVersions(context.version, change.removed) >= 0) continue;
        for (const { span, fixes } of places(model, change)) {
          const params = { name: change.name, version: change.deprecated, instead: change.instead ?? '' };
          yield { span, params, fixes, variant: change.instead === undefined ? 'message' : 'instead' };
        }
      }
    },
  }),
];
