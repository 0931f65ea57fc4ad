/** PCI controllers and addresses, both ways. libvirt numbers the buses; QEMU names them `pci.<n>` after their bridge. */
import type { Pair } from '../convert/write.ts';
import { parsePciAddress } from '../model/placement.ts';
import { child, type XmlElement } from './xml.ts';

/** libvirt's model and QEMU's device. */
export const PCI_MODELS: Readonly<Record<string, string>> = {
  'pcie-root-port': 'pcie-root-port',
  'pci-bridge': 'pci-bridge',
  'pcie-to-pci-bridge': 'pcie-pci-bridge',
  'dmi-to-pci-bridge': 'i82801b11-bridge',
  'pcie-switch-upstream-port': 'x3130-upstream',
  'pcie-switch-downstream-port': 'xio3130-downstream',
};

/** The number of the bus that an element sits on; undefined when it says no PCI address. */
export function pciBus(element: XmlElement): string | undefined {
  const address = child(element, 'address')?.attributes;
  return address?.type === 'pci' && address.slot !== undefined
    ? String(Number(address.bus ?? '0'))
    : undefined;
}

/** `bus=` (for buses behind a bridge) and `addr=` of an element. */
export function pciPlace(element: XmlElement): Pair[] {
  const bus = pciBus(element);
  if (bus === undefined) return [];
  const { slot = '0', function: fn = '0', multifunction } = child(element, 'address')?.attributes ?? {};
  const text = `0x${Number(slot).toString(16)}${Number(fn) === 0 ? '' : `.0x${Number(fn).toString(16)}`}`;
  if (parsePciAddress(text) === undefined) return [];
  return [
    ...(bus === '0' ? [] : [['bus', `pci.${bus}`] as const]),
    ['addr', text],
    ...(multifunction === 'on' ? [['multifunction', 'on'] as const] : []),
  ];
}

/** The bridges that lead to these buses, those nearer to the root first; undefined stands for one that cannot be said. */
export function bridgesTo(
  buses: readonly (string | undefined)[],
  controllers: readonly XmlElement[],
): XmlElement[] {
  const found: XmlElement[] = [];
  const add = (bus: string | undefined, depth: number): void => {
    if (bus === undefined || bus === '0' || depth > 32) return;
    const bridge = controllers.find((c) => c.attributes.type === 'pci' && c.attributes.index === bus);
    if (bridge === undefined || found.includes(bridge) || !Object.hasOwn(PCI_MODELS, bridge.attributes.model))
      return;
    add(pciBus(bridge), depth + 1);
    if (!found.includes(bridge)) found.push(bridge);
  };
  for (const bus of buses) add(bus, 0);
  return found;
}

/** A bridge as a device. */
export function bridgePairs(bridge: XmlElement): Pair[] {
  const { index, model } = bridge.attributes;
  const { chassis, port } = child(bridge, 'target')?.attributes ?? {};
  const name = child(bridge, 'model')?.attributes.name;
  const driver = name === 'ioh3420' ? name : PCI_MODELS[model];
  const number = chassis ?? index;
  return [
    ['driver', driver],
    ...(port === undefined || !driver.includes('port') ? [] : [['port', port] as const]),
    ...(driver === 'pci-bridge' ? [['chassis_nr', number] as const] : []),
    ...(/port|ioh|downstream/.test(driver) ? [['chassis', number] as const] : []),
    ['id', `pci.${index}`],
    ...pciPlace(bridge),
  ];
}
