/** Feature bits by name, with the section that defines each (virtio 1.2, chapter 6; per device chapter 5). */
export interface FeatureName {
  bit: number;
  name: string;
  section: string;
}

const of = (section: string, names: Readonly<Record<number, string>>): FeatureName[] =>
  Object.entries(names).map(([bit, name]) => ({ bit: Number(bit), name, section }));

const EVERY = of('6', {
  24: 'NOTIFY_ON_EMPTY',
  27: 'ANY_LAYOUT',
  28: 'INDIRECT_DESC',
  29: 'EVENT_IDX',
  30: 'BAD_FEATURE',
  32: 'VERSION_1',
  33: 'ACCESS_PLATFORM',
  34: 'RING_PACKED',
  35: 'IN_ORDER',
  36: 'ORDER_PLATFORM',
  37: 'SR_IOV',
  38: 'NOTIFICATION_DATA',
  39: 'NOTIF_CONFIG_DATA',
  40: 'RING_RESET',
});

/** By the device's number (virtio 1.2, chapter 5). */
const OWN = new Map([
  [
    2,
    of('5.2.3', {
      0: 'BARRIER',
      1: 'SIZE_MAX',
      2: 'SEG_MAX',
      4: 'GEOMETRY',
      5: 'RO',
      6: 'BLK_SIZE',
      7: 'SCSI',
      9: 'FLUSH',
      10: 'TOPOLOGY',
      11: 'CONFIG_WCE',
      12: 'MQ',
      13: 'DISCARD',
      14: 'WRITE_ZEROES',
      15: 'LIFETIME',
      16: 'SECURE_ERASE',
    }),
  ],
  [8, of('5.6.3', { 0: 'INOUT', 1: 'HOTPLUG', 2: 'CHANGE', 3: 'T10_PI' })],
]);

/** The features that a device of this number may have. */
export function featureNames(deviceId: number): readonly FeatureName[] {
  return [...(OWN.get(deviceId) ?? []), ...EVERY];
}
