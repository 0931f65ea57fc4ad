/** Buses and addresses: SCSI, IDE, PCI, virtio-bus; devices that come before what they plug into. */
import { addParam, removeOption, setValue, insertOptionAfter } from '../edit.ts';
import type { Fix, TextEdit } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import {
  isFull,
  parsePciAddress,
  pciKey,
  placeDevices,
  type Bus,
  type PlacedDevice,
} from '../model/placement.ts';
import { readBool, readNumber } from '../model/values.ts';
import { compareVersions } from '../model/version.ts';
import { nearest } from '../parse/nearest.ts';
import type { Device, StorageModel } from '../storage-model.ts';
import { fix, rule, type Finding, type RuleScope } from './rule.ts';

const CONTROLLER: Partial<Record<string, string>> = {
  SCSI: 'virtio-scsi-pci',
  'usb-bus': 'qemu-xhci',
  'nvme-bus': 'nvme,serial=1',
  IDE: 'ahci',
  'floppy-bus': 'isa-fdc',
};

function who(device: Device): string {
  return device.id ?? device.driver;
}

/** Devices whose bus is known to be judged: the board is one that is known here. */
function* lost({ model }: RuleScope): Iterable<PlacedDevice> {
  if (model.machine.family === 'other' || model.machine.typeParam?.variable === true) return;
  const placement = placeDevices(model);
  for (const placed of placement.devices) {
    const { device } = placed;
    if (placed.bus !== undefined || device.kind === undefined || device.kind.bus === 'System') continue;
    if (device.bus?.variable === true || device.option.word?.variables !== undefined) continue;
    if (device.canonical.endsWith('-ccw')) continue;
    yield placed;
  }
}

/** Puts the device behind the one that offers its bus. */
function reorder(scope: RuleScope, device: Device, owner: Device): Fix {
  const argument = scope.line.text.slice(device.option.argumentSpan?.start ?? 0, device.option.span.end);
  const edits: TextEdit[] = [
    insertOptionAfter(scope.line, owner.option, 'device', argument),
    removeOption(scope.line, device.option),
  ];
  return fix('reorder', { what: who(owner) }, ...edits);
}

function busFixes(scope: RuleScope, placed: PlacedDevice, buses: Bus[]): Fix[] {
  const { device, wantedBus } = placed;
  const type = device.kind?.bus;
  const later = buses.find((b) => b.type === type && b.owner !== undefined && b.name === wantedBus);
  if (later?.owner !== undefined) return [reorder(scope, device, later.owner)];
  const names = buses.filter((b) => b.type === type && !isFull(b)).map((b) => b.name);
  const offered =
    names.find((n) => n === `${wantedBus ?? ''}.0`) ??
    nearest(wantedBus ?? '', names) ??
    (names.length === 1 ? names[0] : undefined);
  if (device.bus !== undefined && offered !== undefined) {
    return [
      fix('replace', { from: device.bus.value, to: offered }, setValue(device.option, device.bus, offered)),
    ];
  }
  if (wantedBus === undefined) {
    const owner = scope.model.devices.find((d) => d.kind?.offers?.type === type && d !== device);
    if (owner !== undefined) return [reorder(scope, device, owner)];
    const controller = type === undefined ? undefined : CONTROLLER[type];
    if (controller !== undefined) {
      const at = device.option.span.start;
      return [
        fix(
          'add',
          { text: `-device ${controller}` },
          { span: { start: at, end: at }, text: `-device ${controller} ` },
        ),
      ];
    }
  }
  return [];
}

/** The first free slot of a PCI bus. */
function freeSlot(bus: Bus): string | undefined {
  for (let slot = 1; slot < 32; slot++) {
    if (![0, 1, 2, 3, 4, 5, 6, 7].some((fn) => bus.used.has(pciKey(slot, fn))))
      return `0x${slot.toString(16)}`;
  }
  return undefined;
}

function sameTransport(driver: string, microvm: boolean): string | undefined {
  if (microvm)
    return /^(virtio-(?:blk|scsi))(?:-pci)?$/.test(driver)
      ? `${driver.replace(/-pci$/, '')}-device`
      : undefined;
  return /^virtio-(?:blk|scsi)-device$/.test(driver) ? driver.replace(/-device$/, '-pci') : undefined;
}

const HOTPLUG_ONE = /^(?:pcie-root-port|ioh3420|xio3130-downstream)$/;

export const busRules = [
  rule({
    id: 'V08',
    severity: 'error',
    qemu: ["No '{bus}' bus found for device '{driver}'"],
    *find(scope): Iterable<Finding> {
      for (const placed of lost(scope)) {
        const { device } = placed;
        if (
          placed.wantedBus !== undefined ||
          (device.kind?.bus !== 'PCI' && device.kind?.bus !== 'virtio-bus')
        )
          continue;
        const to = sameTransport(device.driver, scope.model.machine.family === 'microvm');
        const param = device.driverParam;
        yield {
          span: param?.valueSpan ?? device.span,
          params: { bus: device.kind.bus, driver: device.canonical, machine: scope.model.machine.type },
          fixes:
            to === undefined || param === undefined
              ? []
              : [fix('replace', { from: device.driver, to }, setValue(device.option, param, to))],
        };
      }
    },
  }),
  rule({
    id: 'S01',
    severity: 'error',
    qemu: [
      "No '{bus}' bus found for device '{driver}'",
      "Bus '{name}' not found",
      "Device '{driver}' can't go on {type} bus",
    ],
    *find(scope): Iterable<Finding> {
      const { buses } = placeDevices(scope.model);
      for (const placed of lost(scope)) {
        const { device } = placed;
        const type = device.kind?.bus ?? '';
        if (type === 'PCI' || (type === 'virtio-bus' && placed.wantedBus === undefined)) continue;
        if (placed.refused !== undefined && placed.refused.type === type) continue;
        const wrongType = placed.refused !== undefined;
        yield {
          span: device.bus?.valueSpan ?? device.driverParam?.valueSpan ?? device.span,
          params: {
            bus: type,
            driver: device.canonical,
            name: placed.wantedBus ?? '',
            type: placed.refused?.type ?? type,
          },
          says: wrongType ? 2 : placed.wantedBus === undefined ? 0 : 1,
          variant: wrongType ? 'type' : placed.wantedBus === undefined ? 'message' : 'name',
          fixes: busFixes(scope, placed, buses),
        };
      }
    },
  }),
  rule({
    id: 'P02',
    severity: 'error',
    qemu: ["Bus '{name}' not found", "Device '{driver}' can't go on {type} bus"],
    *find(scope): Iterable<Finding> {
      const { buses } = placeDevices(scope.model);
      for (const placed of lost(scope)) {
        const { device } = placed;
        if (device.kind?.bus !== 'PCI' || placed.wantedBus === undefined) continue;
        const root = scope.model.machine.pciRoot;
        const confused =
          root !== undefined && (placed.wantedBus === 'pci.0' || placed.wantedBus === 'pcie.0');
        yield {
          span: device.bus?.valueSpan ?? device.span,
          params: {
            name: placed.wantedBus,
            machine: scope.model.machine.type,
            root: root ?? '',
            driver: device.canonical,
            type: placed.refused?.type ?? '',
          },
          says: placed.refused === undefined ? 0 : 1,
          variant: confused ? 'root' : 'message',
          fixes:
            confused && device.bus !== undefined
              ? [
                  fix(
                    'replace',
                    { from: placed.wantedBus, to: root },
                    setValue(device.option, device.bus, root),
                  ),
                ]
              : busFixes(scope, placed, buses),
        };
      }
    },
  }),
  rule({
    id: 'P03',
    severity: 'error',
    qemu: [
      'PCI: slot {slot} function {function} not available for {driver}, in use by {other}',
      "Property '{driver}.addr' doesn't take value '{value}'",
      "PCI: single function device can't be populated in function {address}",
      'PCI: {address} indicates single function, but {other} is already populated.',
    ],
    *find({ model }): Iterable<Finding> {
      if (model.machine.family === 'other') return;
      for (const placed of placeDevices(model).devices) {
        const { device, bus } = placed;
        const param = deviceParam(device, 'addr');
        if (bus?.type !== 'PCI' || param?.variable === true) continue;
        if (param === undefined) {
          // QEMU looks for a free function 0 only, and may find a slot whose other functions are taken.
          const slot = placed.address === undefined ? undefined : parsePciAddress(placed.address);
          if (slot !== undefined) yield* functions(placed, bus, slot, addressParams(placed, slot, ''));
          continue;
        }
        const at = parsePciAddress(param.value);
        const free = freeSlot(bus);
        const fixes =
          free === undefined
            ? []
            : [fix('replace', { from: param.value, to: free }, setValue(device.option, param, free))];
        if (at === undefined) {
          if (!/^-1$/.test(param.value))
            yield {
              span: param.valueSpan,
              params: { value: param.value, driver: device.canonical },
              says: 1,
              variant: 'value',
              fixes,
            };
          continue;
        }
        const params = addressParams(placed, at, param.value);
        if (placed.clash !== undefined) {
          const other = placed.clash === 'board' ? model.machine.type : who(placed.clash.device);
          yield {
            span: param.valueSpan,
            params: { ...params, other },
            fixes,
            ...(placed.clash === 'board' ? {} : { related: [placed.clash.device.span] }),
          };
        } else {
          yield* functions(placed, bus, at, params);
        }
      }
    },
  }),
  rule({
    id: 'P04',
    severity: 'silent',
    qemu: [
      'parent device only allows plugging into slot 0.',
      "Can't add chassis slot, error -16",
      'Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0.',
    ],
    *find({ model, context }): Iterable<Finding> {
      const { buses } = placeDevices(model);
      const refused = compareVersions(context.version, '10.2') >= 0;
      for (const bus of buses) {
        if (bus.owner === undefined || !HOTPLUG_ONE.test(bus.owner.canonical)) continue;
        for (const placed of bus.plugged) {
          if (placed.address === undefined || placed.address.startsWith('00.')) continue;
          yield {
            span: placed.addressParam?.span ?? placed.device.bus?.span ?? placed.device.span,
            params: { device: who(placed.device), port: bus.name },
            severity: refused ? 'error' : 'silent',
            says: refused ? 0 : -1,
          };
        }
      }
      yield* chassis(model);
    },
  }),
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

function addressParams(
  placed: PlacedDevice,
  at: { slot: number; fn: number },
  value: string,
): Record<string, string> {
  return {
    slot: String(at.slot),
    function: String(at.fn),
    driver: placed.device.canonical,
    value,
    address: `${at.slot.toString(16)}.${String(at.fn)}`,
  };
}

/** Functions other than 0 want a multifunction device in function 0 (`do_pci_register_device`). */
function* functions(
  placed: PlacedDevice,
  bus: Bus,
  at: { slot: number; fn: number },
  params: Record<string, string>,
): Iterable<Finding> {
  const index = bus.plugged.indexOf(placed);
  const earlier = bus.plugged.slice(0, index);
  const multi = (d: Device): boolean => readBool(deviceParam(d, 'multifunction')?.value) === true;
  const span =
    deviceParam(placed.device, 'addr')?.valueSpan ??
    placed.device.driverParam?.valueSpan ??
    placed.device.span;
  if (at.fn > 0 && !multi(placed.device)) {
    const first = earlier.find((p) => p.address === pciKey(at.slot, 0));
    if (first === undefined || multi(first.device)) return;
    yield {
      span,
      params: { ...params, other: who(first.device) },
      says: 2,
      variant: 'function',
      related: [first.device.span],
      fixes: [
        fix(
          'add',
          { text: 'multifunction=on' },
          addParam(first.device.option, 'multifunction', 'on', 'boolean'),
        ),
      ],
    };
  } else if (at.fn === 0 && !multi(placed.device)) {
    const other = earlier.find((p) => p.address?.startsWith(`${pciKey(at.slot, 0).slice(0, 2)}.`) === true);
    if (other?.address === undefined) return;
    yield {
      span,
      params: { ...params, other: other.address.replace(/^0/, '') },
      says: 3,
      variant: 'function',
      related: [other.device.span],
      fixes: [
        fix(
          'add',
          { text: 'multifunction=on' },
          addParam(placed.device.option, 'multifunction', 'on', 'boolean'),
        ),
      ],
    };
  }
}

/** Root ports and bridges by chassis and slot number (hw/pci/pcie_port.c, slotid_cap.c). */
function* chassis(model: StorageModel): Iterable<Finding> {
  const seen = new Map<string, Device>();
  for (const device of model.devices) {
    if (device.option.word?.variables !== undefined) continue;
    const chassisParam = deviceParam(device, 'chassis');
    if (device.canonical === 'pci-bridge') {
      const number = readNumber(deviceParam(device, 'chassis_nr')?.value);
      if (number !== undefined && number > 0) continue;
      yield {
        span: device.driverParam?.valueSpan ?? device.span,
        params: { device: who(device), port: '' },
        severity: 'error',
        says: 2,
        variant: 'bridge',
        fixes: [fix('add', { text: 'chassis_nr=1' }, addParam(device.option, 'chassis_nr', '1', 'number'))],
      };
      continue;
    }
    if (!HOTPLUG_ONE.test(device.canonical)) continue;
    const number = readNumber(chassisParam?.value) ?? 0;
    const slot = readNumber(deviceParam(device, 'slot')?.value) ?? 0;
    const key = `${String(number)}:${String(slot)}`;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, device);
      continue;
    }
    let fresh = 1;
    while (seen.has(`${String(fresh)}:${String(slot)}`)) fresh++;
    seen.set(`${String(fresh)}:${String(slot)}`, device);
    yield {
      span: chassisParam?.span ?? device.driverParam?.valueSpan ?? device.span,
      params: { device: who(device), port: who(first) },
      severity: 'error',
      says: 1,
      variant: 'chassis',
      related: [first.span],
      fixes: [
        fix(
          'set',
          { text: `chassis=${String(fresh)}` },
          chassisParam === undefined
            ? addParam(device.option, 'chassis', String(fresh), 'number')
            : setValue(device.option, chassisParam, String(fresh)),
        ),
      ],
    };
  }
}
