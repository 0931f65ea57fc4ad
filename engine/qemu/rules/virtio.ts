/** virtio devices: queues, vectors, modes, iothreads. */
import { addParam, removeParam, setValue } from '../edit.ts';
import type { Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { compareVersions } from '../model/version.ts';
import { readBool, readNumber } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import type { Device, StorageModel } from '../storage-model.ts';
import { driveReferences } from './references.ts';
import { fix, rule, type Finding } from './rule.ts';

const MAX_QUEUE_SIZE = 1024;
const MAX_QUEUES = 1024;
/** MSI-X table entries of one function (PCI 3.0, 6.8.2). */
const MAX_VECTORS = 2048;

function nameOf(device: Device): string {
  return device.id ?? device.driver;
}

/** A number that stands in the text, not in a variable. */
function numberOf(param: Param | undefined): number | undefined {
  return param?.variable === true ? undefined : readNumber(param?.value);
}

function isOn(device: Device, key: string): boolean {
  return readBool(deviceParam(device, key)?.value) === true;
}

function* virtioDevices(model: StorageModel): Iterable<Device> {
  for (const device of model.devices) {
    if (device.kind?.family === 'virtio-blk' || device.kind?.family === 'virtio-scsi') yield device;
  }
}

/** Whether the PCI device sits in a PCI Express slot, where virtio is modern only (`virtio_pci_realize`). */
function inExpressSlot(model: StorageModel, device: Device): boolean {
  const owner = device.bus === undefined ? undefined : model.deviceById.get(device.bus.value);
  return owner !== undefined && /^(?:pcie-root-port|ioh3420|xio3130-downstream)$/.test(owner.canonical);
}

export const virtioRules = [
  rule({
    id: 'V01',
    severity: 'error',
    qemu: [
      'invalid queue-size property ({value}), must be a power of 2 (max 1024)',
      'invalid queue-size property ({value}), must be > 2',
    ],
    *find({ model }): Iterable<Finding> {
      for (const device of model.devices) {
        if (device.kind?.family !== 'virtio-blk') continue;
        const param = deviceParam(device, 'queue-size');
        const value = numberOf(param);
        if (param === undefined || value === undefined || value > 65535 || value < 0) continue;
        const power = value > 0 && (value & (value - 1)) === 0;
        if (power && value > 2 && value <= MAX_QUEUE_SIZE) continue;
        yield {
          span: param.valueSpan,
          params: { value: param.value },
          says: value <= 2 ? 1 : 0,
          fixes: ['256', '128'].map((to) =>
            fix('replace', { from: param.value, to }, setValue(device.option, param, to)),
          ),
        };
      }
    },
  }),
  rule({
    id: 'V02',
    severity: 'error',
    qemu: [
      'num-queues property must be larger than 0',
      'Invalid number of queues (= {value}), must be a positive integer less than 1022.',
    ],
    *find({ model }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const scsi = device.kind?.family === 'virtio-scsi';
        const param = deviceParam(device, scsi ? 'num_queues' : 'num-queues');
        const value = numberOf(param);
        if (param === undefined || value === undefined || value > 65535) continue;
        const most = scsi ? 1021 : MAX_QUEUES;
        if (value > 0 && value <= most) continue;
        const to = String(model.machine.cpus);
        yield {
          span: param.valueSpan,
          params: { value: param.value, limit: String(most) },
          says: scsi ? 1 : value === 0 ? 0 : -1,
          variant: value > most && !scsi ? 'many' : 'message',
          fixes: [fix('replace', { from: param.value, to }, setValue(device.option, param, to))],
        };
      }
    },
  }),
  rule({
    id: 'V03',
    severity: 'silent',
    qemu: ['warning: unable to init msix vectors to {value}'],
    *find({ model }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const param = deviceParam(device, 'vectors');
        const value = numberOf(param);
        if (param === undefined || value === undefined || device.kind?.bus !== 'PCI') continue;
        const scsi = device.kind.family === 'virtio-scsi';
        const queues =
          numberOf(deviceParam(device, scsi ? 'num_queues' : 'num-queues')) ?? model.machine.cpus;
        // virtio-scsi has a control and an event queue beside the request queues.
        const wanted = queues + 1 + (scsi ? 2 : 0);
        if (value >= wanted && value <= MAX_VECTORS) continue;
        const many = value > MAX_VECTORS && value !== 0xffffffff;
        if (value > MAX_VECTORS && !many) continue;
        yield {
          span: param.span,
          params: { value: param.value, wanted: String(wanted), queues: String(queues) },
          severity: many ? 'warning' : 'silent',
          says: many ? 0 : -1,
          variant: many ? 'many' : value === 0 ? 'none' : 'message',
          fixes: [
            fix(
              'replace',
              { from: param.value, to: String(wanted) },
              setValue(device.option, param, String(wanted)),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'V04',
    severity: 'error',
    before: '9.1',
    qemu: ['Please set scsi=off for virtio-blk devices in order to use virtio 1.0'],
    *find({ model }): Iterable<Finding> {
      for (const device of model.devices) {
        const scsi = deviceParam(device, 'scsi');
        if (device.kind?.family !== 'virtio-blk' || scsi === undefined || readBool(scsi.value) !== true)
          continue;
        if (isOn(device, 'disable-modern')) continue;
        yield {
          span: scsi.span,
          params: { device: nameOf(device) },
          fixes: [fix('set', { text: 'scsi=off' }, setValue(device.option, scsi, 'off'))],
        };
      }
    },
  }),
  rule({
    id: 'V05',
    severity: 'error',
    qemu: ['device cannot work as neither modern nor legacy mode is enabled'],
    *find({ model, line }): Iterable<Finding> {
      for (const device of model.devices) {
        const modern = deviceParam(device, 'disable-modern');
        const legacy = deviceParam(device, 'disable-legacy');
        if (
          modern === undefined ||
          legacy === undefined ||
          !isOn(device, 'disable-modern') ||
          !isOn(device, 'disable-legacy')
        )
          continue;
        yield {
          span: modern.span,
          params: { device: nameOf(device) },
          related: [legacy.span],
          fixes: [fix('delete', { what: 'disable-modern=on' }, removeParam(line, device.option, modern))],
        };
      }
    },
  }),
  rule({
    id: 'V06',
    severity: 'error',
    qemu: ['VIRTIO_F_IOMMU_PLATFORM was supported by neither legacy nor transitional device'],
    *find({ model }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const iommu = deviceParam(device, 'iommu_platform');
        if (iommu === undefined || readBool(iommu.value) !== true || device.kind?.bus !== 'PCI') continue;
        if (isOn(device, 'disable-legacy') || device.canonical.endsWith('-non-transitional')) continue;
        const legacy = deviceParam(device, 'disable-legacy');
        if ((legacy === undefined || legacy.value === 'auto') && inExpressSlot(model, device)) continue;
        yield {
          span: iommu.span,
          params: { device: nameOf(device) },
          fixes: [
            fix(
              'set',
              { text: 'disable-legacy=on' },
              legacy === undefined
                ? addParam(device.option, 'disable-legacy', 'on')
                : setValue(device.option, legacy, 'on'),
            ),
          ],
        };
      }
    },
  }),
  rule({
    id: 'V07',
    severity: 'silent',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const packed = deviceParam(device, 'packed');
        const modern = deviceParam(device, 'disable-modern');
        if (
          packed === undefined ||
          modern === undefined ||
          !isOn(device, 'packed') ||
          !isOn(device, 'disable-modern')
        )
          continue;
        yield {
          span: packed.span,
          params: { device: nameOf(device) },
          related: [modern.span],
          fixes: [fix('delete', { what: 'disable-modern=on' }, removeParam(line, device.option, modern))],
        };
      }
    },
  }),
  rule({
    id: 'V09',
    severity: 'error',
    qemu: ['chardev is mandatory', "Property '{owner}.chardev' can't find value '{value}'"],
    *find({ model, line }): Iterable<Finding> {
      const chardevs = line.options
        .filter((o) => o.name === 'chardev')
        .map((o) => o.params.find((p) => p.key === 'id')?.value ?? '');
      for (const device of model.devices) {
        if (device.kind?.family !== 'vhost-user-blk' || device.option.word?.variables !== undefined) continue;
        const chardev = deviceParam(device, 'chardev');
        if (chardev === undefined) {
          const only = chardevs.length === 1 ? chardevs[0] : undefined;
          yield {
            span: device.driverParam?.valueSpan ?? device.span,
            params: { device: nameOf(device) },
            fixes:
              only === undefined
                ? []
                : [fix('add', { text: `chardev=${only}` }, addParam(device.option, 'chardev', only))],
          };
        } else if (!chardevs.includes(chardev.value)) {
          const near = nearest(chardev.value, chardevs) ?? (chardevs.length === 1 ? chardevs[0] : undefined);
          yield {
            span: chardev.valueSpan,
            params: { value: chardev.value, device: nameOf(device) },
            names: { owner: 'vhost-user-blk' },
            says: 1,
            variant: 'unknown',
            fixes:
              near === undefined
                ? []
                : [fix('replace', { from: chardev.value, to: near }, setValue(device.option, chardev, near))],
          };
        }
      }
    },
  }),
  rule({
    id: 'V10',
    severity: 'silent',
    qemu: [],
    *find({ model, line }): Iterable<Finding> {
      for (const { device, target } of driveReferences(model)) {
        if (
          device.kind?.family !== 'virtio-blk' ||
          target === undefined ||
          !('root' in target) ||
          target.media !== 'cdrom'
        )
          continue;
        const media = target.option.params.find((p) => p.key === 'media');
        yield {
          span: device.driverParam?.valueSpan ?? device.span,
          params: { device: nameOf(device), drive: target.id },
          ...(media === undefined ? {} : { related: [media.span] }),
          fixes:
            media === undefined
              ? []
              : [fix('delete', { what: 'media=cdrom' }, removeParam(line, target.option, media))],
        };
      }
    },
  }),
  rule({
    // hw/block/virtio-blk.c: SCSI passthrough deprecated in 5.0, its property removed in 9.1 (docs/about/removed-features.rst).
    id: 'V12',
    severity: 'error',
    from: '5.0',
    qemu: ["Property '{owner}.scsi' not found"],
    *find({ model, line, context }): Iterable<Finding> {
      const gone = compareVersions(context.version, '9.1') >= 0;
      for (const device of model.devices) {
        if (device.kind?.family !== 'virtio-blk') continue;
        const scsi = deviceParam(device, 'scsi');
        if (scsi === undefined) continue;
        const on = readBool(scsi.value) === true;
        yield {
          span: scsi.span,
          params: { value: scsi.value, device: nameOf(device) },
          names: { owner: device.canonical },
          severity: gone ? 'error' : 'warning',
          says: gone ? 0 : -1,
          variant: on ? 'on' : 'message',
          fixes: [fix('delete', { what: `scsi=${scsi.value}` }, removeParam(line, device.option, scsi))],
        };
      }
    },
  }),
  rule({
    id: 'I01',
    severity: 'error',
    qemu: ["Device '{value}' not found"],
    *find({ model }): Iterable<Finding> {
      const threads = model.objects
        .filter((o) => o.type === 'iothread' && o.id !== undefined)
        .map((o) => o.id ?? '');
      for (const device of virtioDevices(model)) {
        const param = deviceParam(device, 'iothread');
        if (param === undefined || param.variable === true || threads.includes(param.value)) continue;
        const near = nearest(param.value, threads) ?? (threads.length === 1 ? threads[0] : undefined);
        const at = device.option.span.start;
        yield {
          span: param.valueSpan,
          params: { value: param.value, device: nameOf(device) },
          fixes:
            near === undefined
              ? [
                  fix(
                    'add',
                    { text: `-object iothread,id=${param.value}` },
                    {
                      span: { start: at, end: at },
                      text: `-object iothread,id=${param.value} `,
                    },
                  ),
                ]
              : [fix('replace', { from: param.value, to: near }, setValue(device.option, param, near))],
        };
      }
    },
  }),
  rule({
    id: 'I03',
    severity: 'error',
    qemu: ['ioeventfd is required for iothread'],
    *find({ model, line }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const fd = deviceParam(device, 'ioeventfd');
        const thread = deviceParam(device, 'iothread');
        if (fd === undefined || thread === undefined || readBool(fd.value) !== false) continue;
        yield {
          span: fd.span,
          params: { device: nameOf(device) },
          related: [thread.span],
          fixes: [fix('delete', { what: `ioeventfd=${fd.value}` }, removeParam(line, device.option, fd))],
        };
      }
    },
  }),
  rule({
    id: 'I04',
    severity: 'error',
    from: '9.0',
    qemu: [
      'iothread and iothread-vq-mapping properties cannot be set at the same time',
      'missing vq {queue} IOThread assignment',
      'duplicate IOThread name',
    ],
    *find({ model, line }): Iterable<Finding> {
      for (const device of virtioDevices(model)) {
        const thread = deviceParam(device, 'iothread');
        const mapping = device.tree.children.get('iothread-vq-mapping');
        if (mapping === undefined) continue;
        if (thread !== undefined) {
          yield {
            span: thread.span,
            params: { device: nameOf(device) },
            fixes: [
              fix('delete', { what: `iothread=${thread.value}` }, removeParam(line, device.option, thread)),
            ],
          };
        }
        const names = new Set<string>();
        for (const entry of mapping.children.values()) {
          const name = entry.children.get('iothread')?.param;
          if (name === undefined) continue;
          if (names.has(name.value))
            yield { span: name.valueSpan, params: { device: nameOf(device) }, says: 2, variant: 'duplicate' };
          names.add(name.value);
        }
      }
    },
  }),
];
