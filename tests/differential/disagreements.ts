/** Where the linter and QEMU 7.2 may differ, each with its reason. */
import type { Problem } from '../../engine/qemu/model.ts';

interface Disagreement {
  reason: string;
  holds(line: string, errors: readonly Problem[], said: string): boolean;
}

const LIST: readonly Disagreement[] = [];

/** The reason why a disagreement is right, or undefined when it is a fault. */
export function acceptedDisagreement(
  line: string,
  errors: readonly Problem[],
  said: string,
): string | undefined {
  return LIST.find((d) => d.holds(line, errors, said))?.reason;
}
