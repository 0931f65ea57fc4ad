/** One thing that a hostile driver may try, as data and a few lines of driver code. */
import type { AttackInfo, AttackOutcome } from '#contract/lab-attacks.ts';
import type { RegisterMap } from '../details/registers.ts';
import type { Hostile } from './hostile.ts';

export interface Attack extends AttackInfo {
  /** The ring that it needs; any when left out. */
  layout?: 'split' | 'packed';
  /** The interfaces of the transport that it goes through; any when left out. */
  interfaces?: readonly RegisterMap['interface'][];
  /** The device's number in virtio 1.2, chapter 5; any when left out. */
  deviceId?: number;
  /** Does it. Answers an outcome that cannot be read off the device (its status, the used ring). */
  run(hostile: Hostile): AttackOutcome | undefined;
}
