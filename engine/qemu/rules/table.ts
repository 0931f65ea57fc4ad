/** All rules. The linter, "explain this error" and the lessons read this one table. */
import { blockdevRules } from './blockdev.ts';
import { blockdevReferenceRules } from './blockdev-references.ts';
import { blockdevSchemaRules } from './blockdev-schema.ts';
import { busRules } from './bus.ts';
import { cacheRules } from './cache.ts';
import { changeRules } from './changes.ts';
import { diskRules } from './disk.ts';
import { drivePlaceRules } from './drive-place.ts';
import { driveValueRules } from './drive-values.ts';
import { driveRules } from './drive.ts';
import { elsewhereRules } from './elsewhere.ts';
import { lockingRules } from './locking.ts';
import { nameRules } from './names.ts';
import { pciRules } from './pci.ts';
import { propertyRules } from './properties.ts';
import type { Rule } from './rule.ts';
import { quorumRules } from './quorum.ts';
import { runtimeRules } from './runtime.ts';
import { throttleRules } from './throttle.ts';
import { unitRules } from './units.ts';
import { virtioRules } from './virtio.ts';

export const RULES: readonly Rule[] = [
  ...driveRules,
  ...drivePlaceRules,
  ...driveValueRules,
  ...cacheRules,
  ...throttleRules,
  ...lockingRules,
  ...blockdevRules,
  ...blockdevReferenceRules,
  ...blockdevSchemaRules,
  ...quorumRules,
  ...virtioRules,
  ...busRules,
  ...pciRules,
  ...unitRules,
  ...diskRules,
  ...nameRules,
  ...propertyRules,
  ...changeRules,
  ...elsewhereRules,
  ...runtimeRules,
];

const byId = new Map(RULES.map((r) => [r.id, r]));

/** The rule of that id. */
export function ruleById(id: string): Rule | undefined {
  return byId.get(id);
}
