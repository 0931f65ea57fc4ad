/** -drive: interface, index, what the board picks up. */
import { addParam, removeParam, setValue } from '../edit.ts';
import type { Param } from '../model.ts';
import { paramAt } from '../model/tree.ts';
import type { Drive, StorageModel } from '../storage-model.ts';
import { fix, rule, type Finding } from './rule.ts';

function placeParam(drive: Drive): Param | undefined {
  return paramAt(drive.tree, 'index') ?? paramAt(drive.tree, 'unit') ?? drive.ifParam;
}

/** Whether the board has a place for it. What other architectures' boards take is not known here. */
export function boardTakes(model: StorageModel, drive: Drive): boolean {
  const { machine } = model;
  if (machine.family === 'other') return true;
  switch (drive.if) {
    case 'none':
    case 'virtio':
      return true;
    case 'ide':
      return drive.bus < machine.ide.buses && drive.unit < machine.ide.units;
    case 'floppy':
      return drive.unit < 2 && machine.family !== 'microvm' && machine.family !== 'none';
    case 'pflash':
      return drive.unit < 2 && (machine.family === 'pc' || machine.family === 'q35');
    default:
      return false;
  }
}

export const drivePlaceRules = [
  rule({
    id: 'D07',
    severity: 'error',
    qemu: [
      'drive with bus={bus}, unit={unit} (index={index}) exists',
      'drive with bus={bus}, unit={unit} exists',
    ],
    *find({ model, line }): Iterable<Finding> {
      const seen = new Map<string, Drive>();
      for (const drive of model.drives) {
        const key = `${drive.if} ${String(drive.bus)} ${String(drive.unit)}`;
        const first = seen.get(key);
        if (first === undefined) {
          seen.set(key, drive);
          continue;
        }
        const at = placeParam(drive);
        yield {
          span: at?.span ?? drive.span,
          params: {
            bus: String(drive.bus),
            unit: String(drive.unit),
            index: String(drive.index ?? 0),
            interface: drive.if,
          },
          says: drive.index === undefined ? 1 : 0,
          related: [first.span],
          fixes:
            drive.option.name === 'drive' && at !== undefined && at !== drive.ifParam
              ? [fix('delete', { what: `${at.key}=${at.value}` }, removeParam(line, drive.option, at))]
              : [],
        };
      }
    },
  }),
  rule({
    id: 'D08',
    severity: 'error',
    qemu: ['machine type does not support if={interface},bus={bus},unit={unit}'],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        if (boardTakes(model, drive)) continue;
        yield {
          span: drive.ifParam?.span ?? placeParam(drive)?.span ?? drive.option.nameSpan,
          params: {
            interface: drive.if,
            bus: String(drive.bus),
            unit: String(drive.unit),
            machine: model.machine.type,
          },
          fixes:
            drive.option.name !== 'drive'
              ? []
              : [
                  fix(
                    'set',
                    { text: 'if=none' },
                    drive.ifParam === undefined
                      ? addParam(drive.option, 'if', 'none')
                      : setValue(drive.option, drive.ifParam, 'none'),
                  ),
                ],
        };
      }
    },
  }),
  rule({
    id: 'D21',
    severity: 'error',
    qemu: [
      "unsupported bus type '{value}'",
      "'{value}' invalid media",
      'index cannot be used with bus and unit',
    ],
    *find({ model, line }): Iterable<Finding> {
      for (const drive of model.drives) {
        const kind = paramAt(drive.tree, 'if');
        if (kind !== undefined && kind.variable !== true && drive.ifParam?.value !== drive.if) {
          yield { span: kind.valueSpan, params: { value: kind.value, key: 'if', values: INTERFACES } };
        }
        const media = paramAt(drive.tree, 'media');
        if (
          media !== undefined &&
          media.variable !== true &&
          media.value !== 'disk' &&
          media.value !== 'cdrom'
        ) {
          yield {
            span: media.valueSpan,
            says: 1,
            params: { value: media.value, key: 'media', values: 'disk, cdrom' },
          };
        }
        const index = paramAt(drive.tree, 'index');
        const other = paramAt(drive.tree, 'bus') ?? paramAt(drive.tree, 'unit');
        if (index !== undefined && other !== undefined) {
          yield {
            span: index.span,
            says: 2,
            variant: 'index',
            params: { value: index.value },
            related: [other.span],
            fixes: [fix('delete', { what: `index=${index.value}` }, removeParam(line, drive.option, index))],
          };
        }
      }
    },
  }),
];

const INTERFACES = 'none, ide, virtio, floppy, pflash, scsi, sd, mtd, xen';
