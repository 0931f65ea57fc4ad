/** -drive and -device: ids, attachment, duplicates. */
import { addParam, removeOption, removeParam, setValue } from '../edit.ts';
import { isIdentifier } from '../model/values.ts';
import { deviceParam } from '../model/devices.ts';
import { paramAt } from '../model/tree.ts';
import type { Drive } from '../storage-model.ts';
import { driveReferences, nameOf, suggestions, unattached } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

/** The name under which QEMU reports a device's own property: the virtio device behind the PCI proxy. */
export function propertyOwner(canonical: string): string {
  return canonical.replace(
    /^(virtio-blk|virtio-scsi)-(?:pci(?:-transitional|-non-transitional)?|ccw)$/,
    '$1-device',
  );
}

export const driveRules = [
  rule({
    id: 'D01',
    severity: 'error',
    qemu: ["Property '{owner}.drive' can't find value '{drive}'"],
    *find({ model }): Iterable<Finding> {
      const meant = suggestions(model);
      for (const reference of driveReferences(model)) {
        if (reference.target !== undefined) continue;
        const { device, param } = reference;
        const near = meant.get(reference);
        yield {
          span: param.valueSpan,
          params: {
            drive: param.value,
            device: device.id ?? device.driver,
            ...(near === undefined ? {} : { near }),
          },
          names: { owner: propertyOwner(device.canonical) },
          ...(near === undefined ? {} : { variant: 'suggest' }),
          fixes:
            near === undefined
              ? []
              : [fix('replace', { from: param.value, to: near }, setValue(device.option, param, near))],
        };
      }
    },
  }),
  rule({
    id: 'D02',
    severity: 'error',
    qemu: ['drive property not set', 'No drive specified'],
    *find({ model }): Iterable<Finding> {
      const free = unattached(model);
      for (const device of model.devices) {
        if (device.kind?.needsDrive !== true || device.drive !== undefined) continue;
        if (deviceParam(device, 'driver')?.variable === true || device.option.word?.variables !== undefined)
          continue;
        const only = free.length === 1 ? nameOf(free[0]) : undefined;
        const written = deviceParam(device, 'drive');
        yield {
          span: written?.span ?? device.driverParam?.valueSpan ?? device.span,
          params: { device: device.driver },
          says: device.kind.family === 'ide-disk' ? 1 : 0,
          ...(written === undefined ? {} : { variant: 'empty' }),
          fixes:
            only === undefined
              ? []
              : [
                  fix(
                    'add',
                    { text: `drive=${only}` },
                    written === undefined
                      ? addParam(device.option, 'drive', only)
                      : setValue(device.option, written, only),
                  ),
                ],
        };
      }
    },
  }),
  rule({
    id: 'D03',
    severity: 'error',
    qemu: [
      "Drive '{drive}' is already in use because it has been automatically connected to another device (did you need 'if=none' in the drive options?)",
    ],
    *find({ model }): Iterable<Finding> {
      for (const { param, target } of driveReferences(model)) {
        if (
          target === undefined ||
          !('root' in target) ||
          target.if === 'none' ||
          target.option.name !== 'drive'
        )
          continue;
        if (!isConnectedByMachine(target)) continue;
        yield {
          span: param.valueSpan,
          params: { drive: target.id, interface: target.if },
          related: [target.span],
          fixes: [
            fix(
              'set',
              { text: 'if=none' },
              target.ifParam === undefined
                ? addParam(target.option, 'if', 'none')
                : setValue(target.option, target.ifParam, 'none'),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'D04',
    severity: 'silent',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      if (model.machine.arch !== 'x86_64' && line.variables.length > 0) return;
      const meant = new Set(suggestions(model).values());
      const waiting = model.devices.some((d) => d.kind?.needsDrive === true && d.drive === undefined);
      for (const target of unattached(model)) {
        if (!('root' in target) || meant.has(target.id) || waiting || target.idParam?.variable === true)
          continue;
        yield {
          span: target.idParam?.valueSpan ?? target.span,
          params: { drive: target.id },
          fixes: [fix('delete', { what: `-drive ${target.id}` }, removeOption(line, target.option))],
        };
      }
    },
  }),
  rule({
    id: 'D05',
    severity: 'error',
    qemu: ["Drive '{drive}' is already in use by another device"],
    *find({ model }): Iterable<Finding> {
      const users = new Map<unknown, (typeof list)[number]>();
      const list = driveReferences(model);
      for (const reference of list) {
        const { target, param } = reference;
        if (target === undefined || !('root' in target)) continue;
        const first = users.get(target);
        if (first === undefined) users.set(target, reference);
        else {
          yield {
            span: param.valueSpan,
            params: { drive: param.value, other: first.device.id ?? first.device.driver },
            related: [first.param.valueSpan],
          };
        }
      }
    },
  }),
  rule({
    id: 'D06',
    severity: 'error',
    qemu: ["Duplicate ID '{id}' for drive"],
    *find({ model, line }): Iterable<Finding> {
      const seen = new Map<string, Drive>();
      for (const drive of model.drives) {
        if (drive.idParam === undefined || drive.idParam.variable === true) continue;
        const first = seen.get(drive.id);
        if (first === undefined) {
          seen.set(drive.id, drive);
          continue;
        }
        const fresh = freeName(drive.id, (name) => model.driveById.has(name));
        yield {
          span: drive.idParam.valueSpan,
          params: { id: drive.id },
          related: [first.span],
          fixes: [
            fix('replace', { from: drive.id, to: fresh }, setValue(drive.option, drive.idParam, fresh)),
            fix('delete', { what: `id=${drive.id}` }, removeParam(line, drive.option, drive.idParam)),
          ],
        };
      }
    },
  }),
  rule({
    id: 'D09',
    severity: 'error',
    qemu: ["Parameter 'id' expects an identifier"],
    *find({ line }): Iterable<Finding> {
      for (const option of line.options) {
        if (!['drive', 'device', 'chardev', 'netdev', 'object'].includes(option.name)) continue;
        const id = option.params.find((p) => p.key === 'id');
        if (id === undefined || id.variable === true || id.form !== 'pair' || isIdentifier(id.value))
          continue;
        const fresh = cleanName(id.value);
        yield {
          span: id.valueSpan.end > id.valueSpan.start ? id.valueSpan : id.span,
          params: { id: id.value },
          fixes: [fix('replace', { from: id.value, to: fresh }, setValue(option, id, fresh))],
        };
      }
    },
  }),
];

/** Whether the board connects a drive of that interface itself. */
function isConnectedByMachine(drive: Drive): boolean {
  return drive.if === 'ide' || drive.if === 'virtio' || drive.if === 'floppy' || drive.if === 'pflash';
}

/** `name` with a number behind it that is still free. */
export function freeName(name: string, taken: (name: string) => boolean): string {
  const stem = name.replace(/\d+$/, '');
  for (let i = 0; ; i++) {
    const candidate = `${stem}${String(i)}`;
    if (candidate !== name && !taken(candidate)) return candidate;
  }
}

/** A well-formed identifier as near to `id` as can be. */
function cleanName(id: string): string {
  const clean = id.replace(/[^A-Za-z0-9._-]/g, '-');
  return /^[A-Za-z]/.test(clean) ? clean : `d${clean}`;
}

/** A drive's parameter by name. */
export function driveParam(drive: Drive, key: string): ReturnType<typeof paramAt> {
  return paramAt(drive.tree, key);
}
