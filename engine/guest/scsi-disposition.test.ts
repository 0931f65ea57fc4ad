/** What a SCSI command's answer means to Linux' drivers: each row is a branch of drivers/scsi/scsi_error.c or scsi_lib.c. */
import { expect, it } from 'vitest';
import { descriptorSense, fixedSense, SENSE } from '../scsi/sense.ts';
import { RESPONSE } from '../virtio/scsi/protocol.ts';
import { disposition, SCSI_STATUS } from './scsi-disposition.ts';

const NONE = new Uint8Array(0);
const CHECK = SCSI_STATUS.checkCondition;
const of = (status: number, sense: Uint8Array = NONE, removable = false, response: number = RESPONSE.ok) =>
  disposition(response, status, sense, removable);
const key = (value: number, asc = 0, ascq = 0): Uint8Array => fixedSense({ key: value, asc, ascq });

it('sends again what may go better next time', () => {
  for (const sense of [fixedSense(SENSE.powerOn), descriptorSense(SENSE.capacityChanged)])
    expect(of(CHECK, sense)).toMatchObject({ again: true });
  for (const status of [SCSI_STATUS.busy, SCSI_STATUS.taskSetFull])
    expect(of(status)).toEqual({ again: true, error: 5 });
  for (const response of [RESPONSE.reset, RESPONSE.busy, RESPONSE.transportFailure])
    expect(of(0, NONE, false, response).again).toBe(true);
  expect(of(CHECK, key(0xb, 0, 6))).toEqual({ again: true, error: 5 });
  expect(of(CHECK, key(2, 4, 1)).again).toBe(true);
  expect(of(CHECK, key(3, 0x0c)).again).toBe(true);
});

it('gives up at once where another try would answer the same', () => {
  expect(of(CHECK, key(5, 0x21))).toEqual({ again: false, error: 121 });
  expect(of(CHECK, key(3, 0x11))).toEqual({ again: false, error: 61 });
  expect(of(CHECK, key(7, 0x27, 7))).toEqual({ again: false, error: 28 });
  expect(of(CHECK, key(7, 0x27))).toEqual({ again: false, error: 121 });
  expect(of(CHECK, key(2, 0x3a))).toEqual({ again: false, error: 5 });
  expect(of(CHECK)).toEqual({ again: false, error: 5 });
  expect(of(SCSI_STATUS.reservationConflict)).toEqual({ again: false, error: 52 });
  expect(of(0, NONE, false, RESPONSE.badTarget)).toEqual({ again: false, error: 5 });
  expect(of(0, NONE, false, RESPONSE.nexusFailure)).toEqual({ again: false, error: 52 });
});

it('a unit attention of a removable medium may mean another medium: it fails', () => {
  expect(of(CHECK, fixedSense(SENSE.powerOn), true)).toEqual({ again: false, error: 5 });
});

it('GOOD and what was recovered are done', () => {
  expect(of(0)).toEqual({ again: false, error: 0 });
  expect(of(CHECK, key(1, 0x17))).toEqual({ again: false, error: 0 });
});
