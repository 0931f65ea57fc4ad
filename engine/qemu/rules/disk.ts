/** Geometry, block sizes, serial numbers, boot order, read-only images, nvme. */
import { addParam, removeOption, removeParam, setValue } from '../edit.ts';
import type { Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { readBool, readNumber, readSize } from '../model/values.ts';
import { compareVersions } from '../model/version.ts';
import { rootNodeOf, type Device, type Drive } from '../storage-model.ts';
import { paramAt } from '../model/tree.ts';
import { bottoms } from './locking.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

function who(device: Device): string {
  return device.id ?? device.driver;
}

function sizeOf(param: Param | undefined): number | undefined {
  return param?.variable === true ? undefined : readSize(param?.value);
}

const MAX_BLOCK = 2 * 1024 * 1024;

/** Longest serial numbers: cut silently to this on virtio-blk and IDE, refused above it elsewhere. */
const SERIAL: Partial<Record<string, { length: number; refused?: string }>> = {
  'virtio-blk': { length: 20 },
  'ide-disk': { length: 20 },
  'scsi-disk': { length: 36, refused: '9.0' },
};

export const diskRules = [
  rule({
    id: 'G01',
    severity: 'error',
    qemu: [
      'logical_block_size > physical_block_size not supported',
      "Property .{key} doesn't take value '{value}', it's not a power of 2",
      '{key} must be a multiple of logical_block_size',
      'discard_granularity must be 512 for ide',
    ],
    *find({ model }): Iterable<Finding> {
      for (const device of model.devices) {
        if (device.kind?.role !== 'disk') continue;
        const logicalParam = deviceParam(device, 'logical_block_size');
        const physicalParam = deviceParam(device, 'physical_block_size');
        let odd = false;
        for (const param of [logicalParam, physicalParam]) {
          const value = sizeOf(param);
          if (param === undefined || value === undefined || value === 0) continue;
          if (value >= 512 && value <= MAX_BLOCK && Number.isInteger(Math.log2(value))) continue;
          odd = true;
          yield {
            span: param.valueSpan,
            params: { key: param.key, value: param.value },
            says: 1,
            variant: 'power',
            fixes: [fix('replace', { from: param.value, to: '512' }, setValue(device.option, param, '512'))],
          };
        }
        if (odd) continue;
        const logical = sizeOf(logicalParam) || 512;
        const physical = sizeOf(physicalParam) || 512;
        if (
          logical > physical &&
          logicalParam !== undefined &&
          logicalParam.variable !== true &&
          physicalParam?.variable !== true
        ) {
          const text = `physical_block_size=${String(logical)}`;
          yield {
            span: logicalParam.span,
            params: { key: 'logical_block_size', value: String(logical), physical: String(physical) },
            fixes: [
              fix(
                'set',
                { text },
                physicalParam === undefined
                  ? addParam(device.option, 'physical_block_size', String(logical), 'number')
                  : setValue(device.option, physicalParam, String(logical)),
              ),
            ],
          };
          continue;
        }
        for (const key of ['min_io_size', 'opt_io_size', 'discard_granularity']) {
          const param = deviceParam(device, key);
          const value = sizeOf(param);
          if (param === undefined || value === undefined || value === 0xffffffff || value % logical === 0)
            continue;
          yield {
            span: param.span,
            params: { key, value: param.value, logical: String(logical) },
            says: 2,
            variant: 'multiple',
            fixes: [
              fix(
                'set',
                { text: `${key}=${String(logical)}` },
                setValue(device.option, param, String(logical)),
              ),
            ],
          };
        }
        if (device.kind.family !== 'ide-disk') continue;
        const discard = deviceParam(device, 'discard_granularity');
        const granularity = sizeOf(discard) ?? 512;
        if (
          discard !== undefined &&
          granularity !== 512 &&
          granularity !== 0xffffffff &&
          granularity % logical === 0
        ) {
          yield {
            span: discard.span,
            params: { key: 'discard_granularity', value: discard.value, logical: '512' },
            says: 3,
            variant: 'ide',
            fixes: [fix('set', { text: 'discard_granularity=512' }, setValue(device.option, discard, '512'))],
          };
        } else if (
          discard === undefined &&
          logical !== 512 &&
          logicalParam !== undefined &&
          device.canonical === 'ide-hd'
        ) {
          yield {
            span: logicalParam.span,
            params: { key: 'discard_granularity', value: '512', logical: String(logical) },
            says: 2,
            variant: 'multiple',
            fixes: [
              fix(
                'replace',
                { from: logicalParam.value, to: '512' },
                setValue(device.option, logicalParam, '512'),
              ),
            ],
          };
        }
      }
    },
  }),
  rule({
    // hw/block/block.c (`blkconf_geometry`): whoever sets one of the three sets all.
    id: 'G03',
    severity: 'error',
    qemu: ['{key} must be between 1 and {limit}'],
    *find({ model, line }): Iterable<Finding> {
      for (const device of model.devices) {
        const family = device.kind?.family;
        if (family !== 'ide-disk' && family !== 'virtio-blk' && family !== 'scsi-disk') continue;
        const given = ['cyls', 'heads', 'secs'].map((key) => deviceParam(device, key));
        const first = given.find((p) => p !== undefined && readNumber(p.value) !== 0);
        if (first === undefined || given.some((p) => p?.variable === true)) continue;
        for (const [i, key] of ['cyls', 'heads', 'secs'].entries()) {
          const limit = key === 'cyls' ? 65535 : key === 'heads' && family === 'ide-disk' ? 16 : 255;
          const value = readNumber(given[i]?.value) ?? 0;
          if (value >= 1 && value <= limit) continue;
          yield {
            span: given[i]?.span ?? first.span,
            params: { key, limit: String(limit), device: who(device) },
            fixes:
              given[i] === undefined
                ? [fix('delete', { what: first.key }, removeParam(line, device.option, first))]
                : [],
          };
          break;
        }
      }
    },
  }),
  rule({
    id: 'S03',
    severity: 'error',
    qemu: ['cannot get SG_IO version number: {errno}', 'Is this a SCSI device?'],
    *find({ model }): Iterable<Finding> {
      for (const { device, param, target } of driveReferences(model)) {
        if (device.canonical !== 'scsi-block' && device.canonical !== 'scsi-generic') continue;
        const root = target === undefined ? undefined : rootNodeOf(model, device);
        const below = root === undefined ? undefined : bottoms(model, root)[0]?.node;
        if (
          below === undefined ||
          below.driver !== 'file' ||
          below.filename === undefined ||
          /[$`]/.test(below.filename)
        )
          continue;
        yield {
          span: device.driverParam?.valueSpan ?? param.span,
          params: { device: device.driver, file: below.filename },
          names: { errno: 'Operation not supported' },
          fixes:
            device.driverParam === undefined
              ? []
              : [
                  fix(
                    'replace',
                    { from: device.driver, to: 'scsi-hd' },
                    setValue(device.option, device.driverParam, 'scsi-hd'),
                  ),
                ],
        };
      }
    },
  }),
  rule({
    id: 'S04',
    severity: 'silent',
    qemu: ["The serial number can't be longer than {limit} characters"],
    *find({ model, context }): Iterable<Finding> {
      for (const device of model.devices) {
        const serial = deviceParam(device, 'serial');
        const limit = SERIAL[device.kind?.family ?? ''];
        if (
          serial === undefined ||
          serial.variable === true ||
          limit === undefined ||
          serial.value.length <= limit.length
        )
          continue;
        const refused = limit.refused !== undefined && compareVersions(context.version, limit.refused) >= 0;
        const to = serial.value.slice(0, limit.length);
        yield {
          span: serial.valueSpan,
          params: { limit: String(limit.length), device: who(device), serial: serial.value },
          severity: refused ? 'error' : 'silent',
          says: refused ? 0 : -1,
          fixes: [fix('replace', { from: serial.value, to }, setValue(device.option, serial, to))],
        };
      }
    },
  }),
  rule({
    id: 'P01',
    severity: 'error',
    qemu: ['The bootindex {index} has already been used'],
    *find({ model, line }): Iterable<Finding> {
      const seen = new Map<number, { device: Device; param: Param }>();
      for (const device of model.devices) {
        const param = deviceParam(device, 'bootindex');
        const index = param?.variable === true ? undefined : readNumber(param?.value);
        if (param === undefined || index === undefined || index < 0) continue;
        const first = seen.get(index);
        if (first === undefined) {
          seen.set(index, { device, param });
          continue;
        }
        let free = index;
        while (seen.has(free)) free++;
        yield {
          span: param.valueSpan,
          params: { index: String(index), other: who(first.device) },
          related: [first.param.span],
          fixes: [
            fix(
              'replace',
              { from: param.value, to: String(free) },
              setValue(device.option, param, String(free)),
            ),
          ],
        };
        seen.set(free, { device, param });
      }
      const boot = model.machine.boot;
      const order = boot?.params.find((p) => p.key === 'order' || p.key === 'once');
      if (boot === undefined || order === undefined || seen.size === 0) return;
      const [first] = seen.values();
      yield {
        span: order.span,
        params: { index: first.param.value, other: who(first.device) },
        severity: 'silent',
        says: -1,
        variant: 'mixed',
        related: [first.param.span],
        fixes:
          boot.params.length === 1
            ? [fix('delete', { what: `-boot ${order.value}` }, removeOption(line, boot))]
            : [fix('delete', { what: `${order.key}=${order.value}` }, removeParam(line, boot, order))],
      };
    },
  }),
  rule({
    id: 'P08',
    severity: 'error',
    qemu: ["Invalid boot device '{value}'", "Boot device '{value}' was given twice"],
    *find({ line }): Iterable<Finding> {
      for (const option of line.options) {
        if (option.name !== 'boot') continue;
        for (const param of option.params) {
          if ((param.key !== 'order' && param.key !== 'once') || param.variable === true) continue;
          const bad = /[^a-p]/.exec(param.value)?.[0];
          const twice = Array.from(param.value).find((c, i) => param.value.indexOf(c) < i);
          if (bad !== undefined) yield { span: param.valueSpan, params: { value: bad } };
          else if (twice !== undefined)
            yield { span: param.valueSpan, params: { value: twice }, says: 1, variant: 'twice' };
        }
      }
    },
  }),
  rule({
    id: 'R01',
    severity: 'error',
    qemu: ['Block node is read-only'],
    *find({ model }): Iterable<Finding> {
      for (const { device, param, target } of driveReferences(model)) {
        if (device.canonical !== 'ide-hd' || target === undefined) continue;
        const readOnly =
          'root' in target ? target.readOnly : readBool(paramAt(target.tree, 'read-only')?.value) === true;
        if (!readOnly) continue;
        const driver = device.driverParam;
        yield {
          span: driver?.valueSpan ?? param.span,
          params: { device: who(device), drive: param.value },
          related: [target.span],
          fixes:
            driver === undefined
              ? []
              : [fix('replace', { from: 'ide-hd', to: 'ide-cd' }, setValue(device.option, driver, 'ide-cd'))],
        };
      }
      for (const drive of model.drives)
        if (isReadOnlyIdeDisk(drive))
          yield {
            span: paramAt(drive.tree, 'readonly')?.span ?? drive.span,
            params: { device: 'ide-hd', drive: drive.id },
            fixes: [fix('add', { text: 'media=cdrom' }, addParam(drive.option, 'media', 'cdrom'))],
          };
    },
  }),
  rule({
    id: 'N01',
    severity: 'error',
    qemu: [
      'serial property not set',
      "namespace id '{value}' already allocated",
      'invalid namespace id (must be between 0 and 256)',
    ],
    *find({ model }): Iterable<Finding> {
      const used = new Map<string, Device>();
      let controller = '';
      for (const device of model.devices) {
        if (device.kind?.family !== 'nvme' || device.option.word?.variables !== undefined) continue;
        if (device.canonical === 'nvme') {
          controller = device.id ?? `#${String(model.devices.indexOf(device))}`;
          const serial = deviceParam(device, 'serial');
          if (serial === undefined || serial.value === '') {
            yield {
              span: device.driverParam?.valueSpan ?? device.span,
              params: { device: who(device), value: '' },
              fixes: [fix('add', { text: 'serial=1' }, addParam(device.option, 'serial', '1'))],
            };
          }
          if (device.drive !== undefined) used.set(`${controller}:1`, device);
          continue;
        }
        const nsid = deviceParam(device, 'nsid');
        const value = readNumber(nsid?.value);
        if (nsid === undefined || value === undefined || value === 0) continue;
        if (value < 0 || value > 256) {
          yield {
            span: nsid.valueSpan,
            params: { value: nsid.value, device: who(device) },
            says: 2,
            variant: 'range',
            fixes: [],
          };
          continue;
        }
        const key = `${device.bus?.value ?? controller}:${String(value)}`;
        const first = used.get(key);
        if (first === undefined) {
          used.set(key, device);
          continue;
        }
        let free = 1;
        while (used.has(`${device.bus?.value ?? controller}:${String(free)}`)) free++;
        yield {
          span: nsid.valueSpan,
          params: { value: nsid.value, device: who(first) },
          says: 1,
          variant: 'used',
          related: [first.span],
          fixes: [
            fix(
              'replace',
              { from: nsid.value, to: String(free) },
              setValue(device.option, nsid, String(free)),
            ),
          ],
        };
      }
    },
  }),
];

function isReadOnlyIdeDisk(drive: Drive): boolean {
  return drive.option.name === 'drive' && drive.if === 'ide' && drive.media === 'disk' && drive.readOnly;
}
