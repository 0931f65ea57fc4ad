/** What the person does at the host's side of a running lab: requests that fail, and discs that are changed. */
export const FAULT_OPERATIONS = ['read', 'write', 'flush'] as const;
export type FaultOperation = (typeof FAULT_OPERATIONS)[number];

/** Linux's names of what the host answers. */
export const FAULT_ERRORS = ['EIO', 'ENOSPC'] as const;
export type FaultError = (typeof FAULT_ERRORS)[number];

/** Most requests that can be made to fail in a row. */
export const MOST_FAULTS = 1_000_000;

/** The next `count` requests of this kind fail. Writes are also those of zeroes, and discards. */
export interface Fault {
  operation: FaultOperation;
  error: FaultError;
  count: number;
}

/** QMP's `eject`, `blockdev-open-tray` and `blockdev-close-tray`. Without force a guest that has locked the tray is asked. */
export const TRAY_MOVES = ['eject', 'open', 'close'] as const;
export type TrayMove = (typeof TRAY_MOVES)[number];

export interface TrayView {
  open: boolean;
  /** The guest has asked to prevent removal. */
  locked: boolean;
  /** Name of what lies in it; null when it is empty. */
  medium: string | null;
}
