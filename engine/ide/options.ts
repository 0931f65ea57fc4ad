/** What `ide-hd` and `ide-cd` can be given on QEMU's command line (hw/ide/qdev.c). */
import type { OnErrors } from '../block/on-error.ts';
import type { BlockNode } from '../block/node.ts';
import type { Geometry } from './geometry.ts';

export interface IdeDriveOptions {
  kind: 'hd' | 'cd';
  /** The disk; only a CD-ROM drive may be empty. */
  node?: BlockNode;
  /** `serial=`, 20 bytes at most. QEMU's default counts the drives: `QM00001`. */
  serial?: string;
  /** `model=`, 40 bytes at most. */
  model?: string;
  /** `ver=`, 8 bytes at most. */
  version?: string;
  /** `wwn=`, 0 for none. */
  wwn?: bigint;
  /** `physical_block_size=`, bytes. */
  physicalBlockSize?: number;
  /** `discard_granularity=`, bytes: 512, or 0 for no TRIM. */
  discardGranularity?: number;
  /** `rotation_rate=`: 1 for an SSD, otherwise revolutions a minute. */
  rotationRate?: number;
  /** `write-cache=`. */
  writeCache?: boolean;
  /** `discard=unmap` of the drive: TRIM reaches the node. */
  unmap?: boolean;
  /** `cyls=`, `heads=`, `secs=`; guessed without. */
  geometry?: Geometry;
  /** `rerror=` and `werror=`: what becomes of errors of the host. */
  onErrors?: OnErrors;
}

export const DRIVE_DEFAULTS = {
  version: '2.5+',
  physicalBlockSize: 512,
  discardGranularity: 512,
  rotationRate: 0,
  model: { hd: 'QEMU HARDDISK', cd: 'QEMU DVD-ROM' },
} as const;
