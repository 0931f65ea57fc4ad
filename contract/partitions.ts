/** The partition table of a guest's disk. */
import type { PlainError } from './error.ts';

export interface PartitionTable {
  /** As util-linux names them. */
  label: 'gpt' | 'dos';
  /** The disk's GUID, or the signature of its MBR (`0x1b2c3d4e`). */
  id: string;
  /** Bytes of a logical sector. */
  sectorSize: number;
  /** In order of their numbers. */
  partitions: Partition[];
  /** What is wrong with the table. */
  problems: PlainError[];
}

export interface Partition {
  /** As Linux counts them: from 1; logical ones of an MBR from 5. */
  number: number;
  /** Bytes from the disk's start. */
  start: number;
  /** Bytes. */
  length: number;
  /** A GUID in capitals, or an MBR's type in hexadecimal without leading zeroes. */
  type: string;
  uuid?: string;
  name?: string;
  bootable: boolean;
  /** It stands in the chain of an extended partition. */
  logical?: boolean;
  /** It only holds logical ones. */
  extended?: boolean;
}
