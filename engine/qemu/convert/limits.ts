/** The limits of a `-drive` as a throttle group. Source: blockdev.c (`extract_common_blockdev_options`), qapi/qom.json. */
import { setParams } from '../edit.ts';
import type { Drive } from '../storage-model.ts';
import type { Pair } from './write.ts';

const LEGACY = /^(bps|iops)(_rd|_wr)?(_max(?:_length)?)?$/;
const KIND: Readonly<Record<string, string>> = { _rd: 'read', _wr: 'write' };

/** The name of a limit in a throttle group: `iops_rd_max` and `throttling.iops-read-max` are `x-iops-read-max`. */
export function limitName(key: string): string | undefined {
  if (key.startsWith('throttling.') && key !== 'throttling.group')
    return `x-${key.slice('throttling.'.length)}`;
  if (key === 'iops_size') return 'x-iops-size';
  const found = LEGACY.exec(key);
  if (found === null) return undefined;
  const kind = found[2] === undefined ? 'total' : KIND[found[2]];
  return `x-${found[1]}-${kind}${(found[3] ?? '').replaceAll('_', '-')}`;
}

/** Whether the key of a `-drive` is about limits. */
export function isLimit(key: string): boolean {
  return key === 'group' || key === 'throttling.group' || limitName(key) !== undefined;
}

export interface Limits {
  /** Name of the group when the drive names one, shared with other drives. */
  group?: string;
  pairs: Pair[];
}

/** The limits of a drive, or undefined when it has none. */
export function limitsOf(drive: Drive): Limits | undefined {
  const params = setParams(drive.option).filter((p) => isLimit(p.key));
  if (params.length === 0) return undefined;
  const group = params.find((p) => p.key === 'group' || p.key === 'throttling.group')?.value;
  const pairs: Pair[] = [];
  for (const { key, value } of params) {
    const name = limitName(key);
    if (name !== undefined) pairs.push([name, value]);
  }
  return { pairs, ...(group === undefined ? {} : { group }) };
}
