/** Devices whose bus is not there: a wrong name, a wrong kind, one that comes later on the line. */
import { insertOptionAfter, removeOption, setValue } from '../edit.ts';
import type { Fix, TextEdit } from '../model.ts';
import { isFull, placeDevices, type Bus, type PlacedDevice } from '../model/placement.ts';
import { nearest } from '../parse/nearest.ts';
import type { Device } from '../storage-model.ts';
import { fix, rule, type Finding, type RuleScope } from './rule.ts';

const CONTROLLER: Partial<Record<string, string>> = {
  SCSI: 'virtio-scsi-pci',
  'usb-bus': 'qemu-xhci',
  'nvme-bus': 'nvme,serial=1',
  IDE: 'ahci',
  'floppy-bus': 'isa-fdc',
};

export function who(device: Device): string {
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

function sameTransport(driver: string, microvm: boolean): string | undefined {
  if (microvm)
    return /^(virtio-(?:blk|scsi))(?:-pci)?$/.test(driver)
      ? `${driver.replace(/-pci$/, '')}-device`
      : undefined;
  return /^virtio-(?:blk|scsi)-device$/.test(driver) ? driver.replace(/-device$/, '-pci') : undefined;
}

export const busRules = [
  rule({
    id: 'V08',
    severity: 'error',
    qemu: ["No '{bus}' bus found for device '{driver}'"],
    *find(scope): Iterable<Finding> {
      const { model } = scope;
      // For if=virtio QEMU itself adds a PCI device, on a board that has no PCI bus too.
      const pci = placeDevices(model).buses.some((b) => b.type === 'PCI');
      for (const drive of model.machine.family === 'microvm' && !pci ? model.drives : []) {
        if (drive.if !== 'virtio' || drive.ifParam === undefined) continue;
        yield {
          span: drive.ifParam.span,
          params: { bus: 'PCI', driver: 'virtio-blk-pci', machine: model.machine.type },
          fixes:
            drive.idParam !== undefined
              ? [
                  fix(
                    'set',
                    { text: `if=none … -device virtio-blk-device,drive=${drive.id}` },
                    setValue(drive.option, drive.ifParam, 'none'),
                    insertOptionAfter(
                      scope.line,
                      drive.option,
                      'device',
                      `virtio-blk-device,drive=${drive.id}`,
                    ),
                  ),
                ]
              : [],
        };
      }
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
];
