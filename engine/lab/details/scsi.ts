/** virtio-scsi: its configuration space, and a command in words: CDB, status, sense data (virtio 1.2, section 5.6). */
import type { DetailField } from '#contract/lab-details.ts';
import { CdbReader } from '../../scsi/cdb.ts';
import { parseSense } from '../../scsi/sense.ts';
import type { GuestMemory } from '../../machine/memory.ts';
import {
  SENSE_KEYS,
  scsiSenseCodeName,
  scsiStatusName,
  VIRTIO_SCSI_RESPONSES,
} from '../../trace/scsi-names.ts';
import type { VirtioDevice } from '../../virtio/device.ts';
import { SCSI_CONFIG } from '../../virtio/scsi/config.ts';
import { CMD_REQ, CMD_RESP, lunOf, RESPONSE, targetOf } from '../../virtio/scsi/protocol.ts';
import type { ChainBuffer } from './chain.ts';
import type { RegisterMap } from './registers.ts';
import { field, type Section } from './section.ts';

const FIELDS: readonly { name: string; offset: number; bytes: 2 | 4 }[] = [
  { name: 'num_queues', offset: SCSI_CONFIG.numQueues, bytes: 4 },
  { name: 'seg_max', offset: SCSI_CONFIG.segMax, bytes: 4 },
  { name: 'max_sectors', offset: SCSI_CONFIG.maxSectors, bytes: 4 },
  { name: 'cmd_per_lun', offset: SCSI_CONFIG.cmdPerLun, bytes: 4 },
  { name: 'event_info_size', offset: SCSI_CONFIG.eventInfoSize, bytes: 4 },
  { name: 'sense_size', offset: SCSI_CONFIG.senseSize, bytes: 4 },
  { name: 'cdb_size', offset: SCSI_CONFIG.cdbSize, bytes: 4 },
  { name: 'max_channel', offset: SCSI_CONFIG.maxChannel, bytes: 2 },
  { name: 'max_target', offset: SCSI_CONFIG.maxTarget, bytes: 2 },
  { name: 'max_lun', offset: SCSI_CONFIG.maxLun, bytes: 4 },
];
/** Bytes of a CDB that are looked at: the longest command. */
const CDB_BYTES = 16;
const SENSE_BYTES = 18;
/** SPC-4, section 4.2.5: where the transfer length stands, by the CDB's length. */
const TRANSFER_AT: Readonly<Record<number, number>> = { 6: 4, 10: 7, 12: 6, 16: 10 };

export function scsiConfigSection(device: VirtioDevice, registers: RegisterMap): Section {
  return {
    id: 'config',
    key: 'config.scsi',
    text: '',
    fields: () =>
      FIELDS.map(({ name, offset, bytes }) =>
        field(name, `scsi.${name}`, device.readConfig(offset, bytes), bytes, {
          as: 'count',
          source: 'virtio 1.2, 5.6.4',
          place: registers.place('config', offset),
        }),
      ),
  };
}

function commandFields(
  memory: GuestMemory,
  { address, length }: ChainBuffer,
  request: number,
): DetailField[] {
  const available = Math.min(CDB_BYTES, length - CMD_REQ.cdb);
  const at = available > 0 ? memory.locate(address, CMD_REQ.cdb + available) : -1;
  if (at < 0) return [];
  const { bytes } = memory;
  const row = { level: 2, request, source: 'virtio 1.2, 5.6.6.1' };
  const place = (offset: number) => ({ space: 'memory', address: address + offset }) as const;
  const target = targetOf(bytes, at + CMD_REQ.lun);
  const cdb = new CdbReader();
  const whole = cdb.load(bytes, at + CMD_REQ.cdb, available);
  const hex = Array.from(
    bytes.subarray(at + CMD_REQ.cdb, at + CMD_REQ.cdb + Math.min(available, cdb.length)),
    (byte) => byte.toString(16).padStart(2, '0'),
  ).join(' ');
  const rows = [
    field('lun', 'scsi.lun', lunOf(bytes, at + CMD_REQ.lun), 2, {
      ...row,
      as: 'count',
      place: place(CMD_REQ.lun),
      text: target < 0 ? '' : `target ${target}`,
      tone: target < 0 ? 'bad' : 'plain',
    }),
    field('cdb', 'scsi.cdb', null, 0, {
      ...row,
      place: place(CMD_REQ.cdb),
      text: hex,
      source: 'SPC-4, 4.2.5',
    }),
    field('opcode', 'scsi.opcode', cdb.opcode, 1, {
      ...row,
      level: 3,
      place: place(CMD_REQ.cdb),
      text: cdb.name,
      source: 'SPC-4, annex E.3',
    }),
  ];
  if (!whole) return rows;
  rows.push(
    field('lba', 'scsi.lba', cdb.lba, 4, {
      ...row,
      level: 3,
      as: 'count',
      place: place(CMD_REQ.cdb + (cdb.length === 6 ? 1 : 2)),
      source: 'SBC-3, 5',
    }),
    field('transfer', 'scsi.transfer', cdb.transfer, 4, {
      ...row,
      level: 3,
      as: 'count',
      place: place(CMD_REQ.cdb + TRANSFER_AT[cdb.length]),
      source: 'SBC-3, 5',
    }),
  );
  return rows;
}

function answerFields(memory: GuestMemory, { address, length }: ChainBuffer, request: number): DetailField[] {
  const at = length >= CMD_RESP.sense ? memory.locate(address, length) : -1;
  if (at < 0) return [];
  const { bytes, view } = memory;
  const row = { level: 2, request, source: 'virtio 1.2, 5.6.6.1' };
  const place = (offset: number) => ({ space: 'memory', address: address + offset }) as const;
  const response = bytes[at + CMD_RESP.response];
  const status = bytes[at + CMD_RESP.status];
  // What the driver wrote beforehand stands there until the device answers.
  const open = response === RESPONSE.failure && status === 0 && view.getUint32(at, true) === 0;
  const senseBytes = view.getUint32(at + CMD_RESP.senseLen, true);
  const rows = [
    field('response', 'scsi.response', response, 1, {
      ...row,
      place: place(CMD_RESP.response),
      text: open ? 'not answered yet' : (VIRTIO_SCSI_RESPONSES[response] ?? ''),
      tone: open || response === 0 ? 'plain' : 'bad',
    }),
    field('status', 'scsi.status', status, 1, {
      ...row,
      place: place(CMD_RESP.status),
      text: scsiStatusName(status),
      source: 'SAM-5, 5.3',
      tone: status === 0 ? 'plain' : 'bad',
    }),
    field('residual', 'scsi.residual', view.getUint32(at + CMD_RESP.resid, true), 4, {
      ...row,
      as: 'bytes',
      place: place(CMD_RESP.resid),
    }),
    field('sense_len', 'scsi.sense-len', senseBytes, 4, {
      ...row,
      as: 'count',
      place: place(CMD_RESP.senseLen),
    }),
  ];
  const room = Math.min(senseBytes, SENSE_BYTES, length - CMD_RESP.sense);
  const sense = parseSense(bytes.subarray(at + CMD_RESP.sense, at + CMD_RESP.sense + room));
  if (sense === undefined) return rows;
  const inner = {
    ...row,
    level: 3,
    source: 'SPC-4, 4.5',
    place: place(CMD_RESP.sense),
    tone: 'bad',
  } as const;
  rows.push(
    field('sense key', 'scsi.sense-key', sense.key, 1, { ...inner, text: SENSE_KEYS[sense.key] ?? '' }),
    field('sense code', 'scsi.sense-code', (sense.asc << 8) | sense.ascq, 2, {
      ...inner,
      source: 'SPC-4, annex D',
      text: scsiSenseCodeName((sense.asc << 8) | sense.ascq),
    }),
  );
  return rows;
}

/** The first buffer is the command, the first that the device writes its answer. */
export function scsiRequestFields(
  memory: GuestMemory,
  buffers: readonly ChainBuffer[],
  request: number,
): DetailField[] {
  const command = buffers.find(({ writable }) => !writable);
  const answer = buffers.find(({ writable }) => writable);
  return [
    ...(command === undefined ? [] : commandFields(memory, command, request)),
    ...(answer === undefined ? [] : answerFields(memory, answer, request)),
  ];
}

/** What is special about virtio-scsi. */
export const SCSI_DETAILS = { config: scsiConfigSection, requestFields: scsiRequestFields } as const;
