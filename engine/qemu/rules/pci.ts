/** PCI addresses: slots and functions taken twice, ports with one slot, chassis numbers. */
import { addParam, setValue } from '../edit.ts';
import type { Fix, Param } from '../model.ts';
import { deviceParam } from '../model/devices.ts';
import { parsePciAddress, pciKey, placeDevices, type Bus, type PlacedDevice } from '../model/placement.ts';
import { readBool, readNumber } from '../model/values.ts';
import { compareVersions } from '../model/version.ts';
import type { Device, StorageModel } from '../storage-model.ts';
import { fix, rule, type Finding } from './rule.ts';
import { who } from './bus.ts';

const HOTPLUG_ONE = /^(?:pcie-root-port|ioh3420|xio3130-downstream)$/;

/** The first slot of a PCI bus with no function in use. */
function freeSlot(bus: Bus): string | undefined {
  const used = new Set([...bus.used.keys()].map((key) => parsePciAddress(key)?.slot));
  for (let slot = 1; slot < 32; slot++) if (!used.has(slot)) return `0x${slot.toString(16)}`;
  return undefined;
}

/** A fix is looked for only where there is a problem. */
function moveFix(device: Device, param: Param, bus: Bus): Fix[] {
  const free = freeSlot(bus);
  return free === undefined
    ? []
    : [fix('replace', { from: param.value, to: free }, setValue(device.option, param, free))];
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

export const pciRules = [
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
        if (at === undefined) {
          if (!/^-1$/.test(param.value))
            yield {
              span: param.valueSpan,
              params: { value: param.value, driver: device.canonical },
              says: 1,
              variant: 'value',
              fixes: moveFix(device, param, bus),
            };
          continue;
        }
        const params = addressParams(placed, at, param.value);
        if (placed.clash !== undefined) {
          const other = placed.clash === 'board' ? model.machine.type : who(placed.clash.device);
          yield {
            span: param.valueSpan,
            params: { ...params, other },
            fixes: moveFix(device, param, bus),
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
];
