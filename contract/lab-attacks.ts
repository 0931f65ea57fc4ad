/** The hostile driver: what it can try on the lab's device, and what came of it. */
import type { PlainError } from './error.ts';

/**
 * What a device may do: ask for a reset, fall silent until one (a legacy driver cannot be asked), answer the request with an error, not
 * care, do what was right to do anyway, or drop what came too late.
 */
export type AttackOutcome = 'needs-reset' | 'silent' | 'error' | 'ignored' | 'served' | 'dropped';

export interface AttackInfo {
  /** Names it, and its texts: `lab-attacks.<id>.title`, `.text` (what is tried) and `.rule` (what the specification says). */
  id: string;
  group: 'ring' | 'table' | 'request' | 'control' | 'registers' | 'time';
  /** What a sound device answers. */
  expects: AttackOutcome;
  /** Known failures of device models at this: `CVE-2016-6490`. */
  cves: readonly string[];
  /** The section that says so: `virtio 1.2, 2.7.5.2`. */
  source: string;
}

/** Something that the driver can read after an attack. */
export interface AttackAnswer {
  /** The specification's name for it: `device_status`, `PxTFD`, `sense key`. */
  name: string;
  value: number;
  /** Hexadecimal digits. */
  digits: number;
  /** The value in the specification's words; may be empty. */
  words: string;
}

export interface AttackResult {
  id: string;
  outcome: AttackOutcome;
  /** As a sound device does. */
  expected: boolean;
  /** What the driver found after it: registers, and the request's own answer when there is one. */
  answers: readonly AttackAnswer[];
  /** What the device said, when it broke off. */
  error: PlainError | null;
  /** Numbers of the events from the attack to the end of the recovery. */
  firstEvent: number;
  lastEvent: number;
  /** After a reset the driver initialised the device again and a read of its first sector succeeded. */
  recovered: boolean;
}
