/** What a driver may not do, in the words of the specification. Each throws; the device stops and asks to be reset. */
import { PlatterError } from '../../errors.ts';

/** Sections of "Virtual I/O Device (VIRTIO) Version 1.2". */
const RULES = {
  'virtio.avail-index': [
    '2.7.13',
    'the available index may be at most the queue size ahead of what the device has taken',
  ],
  'virtio.avail-head': [
    '2.7.6',
    'an entry of the available ring must be the index of a descriptor below the queue size',
  ],
  'virtio.desc-next': ['2.7.5', 'next must be the index of a descriptor below the size of its table'],
  'virtio.desc-loop': ['2.7.5.2', 'a chain may not be longer than the queue size: there is a loop'],
  'virtio.desc-too-long': ['2.7.5.2', 'a chain may not describe more than 2^32 bytes in total'],
  'virtio.desc-order': ['2.7.4.2', 'device-writable descriptors must come after all device-readable ones'],
  'virtio.desc-empty': ['2.7.5', 'a descriptor must describe at least one byte'],
  'virtio.desc-address': ['2.7.5', 'a buffer must lie wholly in one region of guest memory'],
  'virtio.indirect-not-negotiated': [
    '2.7.5.3.1',
    'INDIRECT may only be set when VIRTIO_F_INDIRECT_DESC was negotiated',
  ],
  'virtio.indirect-next': ['2.7.5.3.1', 'INDIRECT and NEXT may not both be set'],
  'virtio.indirect-nested': ['2.7.5.3.1', 'an indirect table may not refer to another one'],
  'virtio.indirect-length': [
    '2.7.5.3.2',
    'the length of an indirect table must be a multiple of 16 and not 0',
  ],
  'virtio.in-flight': ['2.7.13', 'no more chains may be in flight than the queue has entries'],
  'virtio.queue-size': ['2.7', 'the queue size must be a power of two from 1 to 32768'],
  'virtio.packed-size': ['2.8', 'the size of a packed queue must be a number from 1 to 32768'],
  'virtio.queue-enable': ['4.1.4.3.2', 'only 1 may be written to queue_enable'],
  'virtio.queue-address': ['2.7', 'each part of the queue must lie wholly in guest memory'],
} as const;

export type QueueRule = keyof typeof RULES;

/** The error for a broken rule; `value` is what was found, `address` where in guest memory (or which index). */
export function broken(rule: QueueRule, value: number | string, address?: number): PlatterError {
  const [section, text] = RULES[rule];
  return new PlatterError(rule, `virtio 1.2, section ${section}: ${text}; found ${value}`, {
    field: section,
    value: String(value),
    ...(address === undefined ? {} : { offset: address }),
  });
}

/** All rules with their sections, for the catalogue of messages. */
export const QUEUE_RULES = Object.keys(RULES) as QueueRule[];
