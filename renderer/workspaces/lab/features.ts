/** Names of the bits of virtio's registers, as the specification writes them. */

/** Feature bits of the block device (virtio 1.2, section 5.2.3) and of every device (section 6). */
export const FEATURES: readonly (readonly [bit: number, name: string])[] = [
  [0, 'BARRIER'],
  [1, 'SIZE_MAX'],
  [2, 'SEG_MAX'],
  [4, 'GEOMETRY'],
  [5, 'RO'],
  [6, 'BLK_SIZE'],
  [7, 'SCSI'],
  [9, 'FLUSH'],
  [10, 'TOPOLOGY'],
  [11, 'CONFIG_WCE'],
  [12, 'MQ'],
  [13, 'DISCARD'],
  [14, 'WRITE_ZEROES'],
  [15, 'LIFETIME'],
  [16, 'SECURE_ERASE'],
  [24, 'NOTIFY_ON_EMPTY'],
  [27, 'ANY_LAYOUT'],
  [28, 'INDIRECT_DESC'],
  [29, 'EVENT_IDX'],
  [32, 'VERSION_1'],
  [33, 'ACCESS_PLATFORM'],
  [34, 'RING_PACKED'],
  [35, 'IN_ORDER'],
  [36, 'ORDER_PLATFORM'],
  [37, 'SR_IOV'],
  [38, 'NOTIFICATION_DATA'],
  [39, 'NOTIF_CONFIG_DATA'],
  [40, 'RING_RESET'],
];

/** Those of the SCSI host that differ (virtio 1.2, section 5.6.3). */
const SCSI_FEATURES: readonly (readonly [bit: number, name: string])[] = [
  [0, 'INOUT'],
  [1, 'HOTPLUG'],
  [2, 'CHANGE'],
  [3, 'T10_PI'],
];
/** The number of the SCSI host (virtio 1.2, chapter 5). */
const SCSI_HOST = 8;

/** The status register's bits in the order in which a driver sets them (virtio 1.2, section 3.1.1). */
export const STATUS: readonly (readonly [bit: number, name: string])[] = [
  [1, 'ACKNOWLEDGE'],
  [2, 'DRIVER'],
  [8, 'FEATURES_OK'],
  [4, 'DRIVER_OK'],
];

/** The two bits that say that something is wrong (virtio 1.2, section 2.1). */
export const STATUS_TROUBLE: readonly (readonly [bit: number, name: string])[] = [
  [64, 'DEVICE_NEEDS_RESET'],
  [128, 'FAILED'],
];

export interface FeatureRow {
  bit: number;
  name: string;
  /** The driver wrote it back. */
  acked: boolean;
}

/** Every bit that the device offers, with the driver's answer. A bit without a name keeps its number. */
export function featureRows(offered: bigint, acked: bigint, virtioId = 2): FeatureRow[] {
  const names = new Map([...FEATURES, ...(virtioId === SCSI_HOST ? SCSI_FEATURES : [])]);
  const rows: FeatureRow[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((offered >> BigInt(bit)) & 1n) === 0n) continue;
    rows.push({ bit, name: names.get(bit) ?? `bit ${bit}`, acked: ((acked >> BigInt(bit)) & 1n) === 1n });
  }
  return rows;
}
