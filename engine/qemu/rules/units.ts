/** Units of a bus: SCSI targets and LUNs, IDE and floppy units. */
import { addParam, setValue } from '../edit.ts';
import { deviceParam } from '../model/devices.ts';
import { placeDevices } from '../model/placement.ts';
import { readNumber } from '../model/values.ts';
import type { Device } from '../storage-model.ts';
import { fix, rule, type Finding } from './rule.ts';
import { who } from './bus.ts';

/** Highest numbers of the controllers (`scsi_bus_info` of each). */
function scsiLimits(owner: Device | undefined): { channel: number; target: number; lun: number } {
  switch (owner?.canonical) {
    case 'lsi53c895a':
    case 'lsi53c810':
      return { channel: 0, target: owner.canonical === 'lsi53c895a' ? 15 : 7, lun: 0 };
    case 'am53c974':
    case 'dc390':
      return { channel: 0, target: 7, lun: 7 };
    case 'mptsas1068':
      return { channel: 0, target: 7, lun: 0 };
    case 'megasas':
    case 'megasas-gen2':
      return { channel: 0, target: 127, lun: 0 };
    case 'pvscsi':
      return { channel: 0, target: 63, lun: 0 };
    case 'usb-bot':
      return { channel: 0, target: 0, lun: 15 };
    case 'usb-uas':
      return { channel: 0, target: 0, lun: 255 };
    default:
      return { channel: 0, target: 255, lun: 16383 };
  }
}

export const unitRules = [
  rule({
    id: 'S02',
    severity: 'error',
    qemu: [
      "lun already used by '{other}'",
      'bad scsi device lun: {value}',
      'bad scsi device id: {value}',
      'bad scsi channel id: {value}',
    ],
    *find({ model }): Iterable<Finding> {
      for (const placed of placeDevices(model).devices) {
        const { device, bus } = placed;
        if (bus?.type !== 'SCSI') continue;
        const limits = scsiLimits(bus.owner);
        let bad = false;
        for (const [key, most, says] of [
          ['lun', limits.lun, 1],
          ['scsi-id', limits.target, 2],
          ['channel', limits.channel, 3],
        ] as const) {
          const param = deviceParam(device, key);
          const value = param?.variable === true ? undefined : readNumber(param?.value);
          if (param === undefined || value === undefined || value < 0 || value <= most) continue;
          bad = true;
          yield {
            span: param.valueSpan,
            params: { key, value: param.value, limit: String(most), other: '' },
            says,
            variant: 'range',
            fixes: [fix('replace', { from: param.value, to: '0' }, setValue(device.option, param, '0'))],
          };
        }
        if (bad || placed.clash === undefined || placed.clash === 'board' || placed.address === undefined)
          continue;
        const param = placed.addressParam;
        const [channel, id] = placed.address.split(':');
        let lun = 0;
        while (bus.used.has(`${channel}:${id}:${String(lun)}`)) lun++;
        const lunParam = deviceParam(device, 'lun');
        yield {
          span: lunParam?.valueSpan ?? param?.valueSpan ?? device.span,
          params: {
            other: who(placed.clash.device),
            device: who(device),
            key: 'lun',
            value: placed.address,
            limit: '',
          },
          related: [placed.clash.device.span],
          fixes:
            lun > limits.lun
              ? []
              : [
                  fix(
                    'set',
                    { text: `lun=${String(lun)}` },
                    lunParam === undefined
                      ? addParam(device.option, 'lun', String(lun))
                      : setValue(device.option, lunParam, String(lun)),
                  ),
                ],
        };
      }
    },
  }),
  rule({
    id: 'G02',
    severity: 'error',
    qemu: [
      "Can't create IDE unit {unit}, bus supports only {units} units",
      'IDE unit {unit} is in use',
      "Can't create floppy unit {unit}, bus supports only {units} units",
      'Floppy unit {unit} is in use',
    ],
    *find({ model }): Iterable<Finding> {
      if (model.machine.family === 'other') return;
      const { buses } = placeDevices(model);
      for (const bus of buses) {
        if (bus.type !== 'IDE' && bus.type !== 'floppy-bus') continue;
        const floppy = bus.type === 'floppy-bus' ? 2 : 0;
        const units = bus.units ?? 2;
        const free = buses.find((b) => b.type === bus.type && b.plugged.length + b.onBoard < (b.units ?? 2));
        for (const placed of bus.plugged) {
          const { device } = placed;
          const unit = Number(placed.address);
          if (placed.clash === undefined && unit < units) continue;
          const fixes =
            free === undefined
              ? []
              : [
                  fix(
                    'set',
                    { text: `bus=${free.name}` },
                    device.bus === undefined
                      ? addParam(device.option, 'bus', free.name)
                      : setValue(device.option, device.bus, free.name),
                  ),
                ];
          yield {
            span: placed.addressParam?.span ?? device.bus?.span ?? device.span,
            params: { unit: String(unit), units: String(units), bus: bus.name },
            says: (unit >= units ? 0 : 1) + floppy,
            variant: unit >= units ? 'message' : 'used',
            fixes,
          };
        }
      }
    },
  }),
];
