/** An attack on a virtio device: which rings, transports and devices it is for. */
import type { AttackOutcome } from '#contract/lab-attacks.ts';
import type { RegisterMap } from '../details/registers.ts';
import type { Attack } from './attack.ts';
import type { Hostile } from './hostile.ts';

/** Numbers of devices (virtio 1.2, chapter 5). */
export const DEVICE = { block: 2, scsi: 8 } as const;

export interface VirtioAttack extends Attack<Hostile> {
  /** The ring that it needs; any when left out. */
  layout?: 'split' | 'packed';
  /** The interfaces of the transport that it goes through; any when left out. */
  interfaces?: readonly RegisterMap['interface'][];
  /** The device's number; any when left out. */
  deviceId?: number;
  /** Only for a disk: a CD-ROM does not know the command. */
  diskOnly?: boolean;
}

export type VirtioAttackMore = Partial<
  Pick<VirtioAttack, 'group' | 'source' | 'cves' | 'layout' | 'interfaces' | 'deviceId'>
>;

/** An attack whose outcome can be read off the device. `source`: the section of virtio 1.2. */
export function attempt(
  id: string,
  expects: AttackOutcome,
  source: string,
  run: (hostile: Hostile) => void,
  more: VirtioAttackMore = {},
): VirtioAttack {
  return {
    id,
    group: 'ring',
    expects,
    source: `virtio 1.2, ${source}`,
    cves: [],
    ...more,
    run: (hostile) => {
      run(hostile);
      return undefined;
    },
  };
}
