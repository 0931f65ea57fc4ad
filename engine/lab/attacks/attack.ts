/** One thing that a hostile driver may try, as data and a few lines of driver code. */
import type { AttackAnswer, AttackInfo, AttackOutcome } from '#contract/lab-attacks.ts';
import type { PlatterError } from '../../errors.ts';

/** A driver without manners, on a device that the guest has set up and whose queues are empty. */
export interface HostileDriver {
  /** What the device did, as far as its registers and the guest's memory tell. */
  readonly outcome: AttackOutcome;
  /** What the driver can read now. */
  readonly answers: readonly AttackAnswer[];
  /** Why the device has broken off. */
  readonly error: PlatterError | undefined;
}

export interface Attack<H extends HostileDriver> extends AttackInfo {
  /** Does it. Answers an outcome that cannot be read off the device. */
  run(hostile: H): AttackOutcome | undefined;
}

/** A driver that can see whether anything but its own memory has changed. */
interface Watchful extends HostileDriver {
  readonly spilt: boolean;
}

/** Makes attacks of a driver that has memory of its own: nothing else may change, whatever the attack says of the device. */
export function attacksOf<H extends Watchful>() {
  return (
    id: string,
    group: AttackInfo['group'],
    expects: AttackOutcome,
    source: string,
    run: (hostile: H) => AttackOutcome | undefined | void,
    cves: readonly string[] = [],
  ): Attack<H> => ({
    id,
    group,
    expects,
    source,
    cves,
    run: (hostile) => {
      const seen = run(hostile) ?? undefined;
      return hostile.spilt ? 'served' : seen;
    },
  });
}
