/** The SCSI host's configuration space (virtio 1.2, section 5.6.4); the driver may set the sizes of sense data and CDB. */
import { MAX_TARGET } from '../../scsi/bus.ts';
import { MAX_LUN } from '../../scsi/target.ts';
import { EVENT_BYTES } from './protocol.ts';
import type { ScsiProperties } from './options.ts';

/** Byte offsets. */
export const SCSI_CONFIG = {
  numQueues: 0,
  segMax: 4,
  maxSectors: 8,
  cmdPerLun: 12,
  eventInfoSize: 16,
  senseSize: 20,
  cdbSize: 24,
  maxChannel: 28,
  maxTarget: 30,
  maxLun: 32,
} as const;
export const SCSI_CONFIG_BYTES = 36;

/** Section 5.6.4: what the driver finds after a reset. */
export const DEFAULT_SENSE_SIZE = 96;
export const DEFAULT_CDB_SIZE = 32;
/** As QEMU bounds what the driver writes. */
export const SENSE_SIZE_LIMIT = 65536;
export const CDB_SIZE_LIMIT = 256;

export function scsiConfig(properties: ScsiProperties): DataView {
  const view = new DataView(new ArrayBuffer(SCSI_CONFIG_BYTES));
  view.setUint32(SCSI_CONFIG.numQueues, properties.numQueues, true);
  view.setUint32(SCSI_CONFIG.segMax, properties.segMaxAdjust ? properties.queueSize - 2 : 126, true);
  view.setUint32(SCSI_CONFIG.maxSectors, properties.maxSectors, true);
  view.setUint32(SCSI_CONFIG.cmdPerLun, properties.cmdPerLun, true);
  view.setUint32(SCSI_CONFIG.eventInfoSize, EVENT_BYTES, true);
  view.setUint32(SCSI_CONFIG.senseSize, DEFAULT_SENSE_SIZE, true);
  view.setUint32(SCSI_CONFIG.cdbSize, DEFAULT_CDB_SIZE, true);
  view.setUint16(SCSI_CONFIG.maxTarget, MAX_TARGET, true);
  view.setUint32(SCSI_CONFIG.maxLun, MAX_LUN, true);
  return view;
}
