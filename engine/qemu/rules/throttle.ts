/** Throttling: `throttling.bps-total`, the older `bps`, … Source: util/throttle.c (`throttle_is_valid`). */
import type { Param } from '../model.ts';
import { readNumber } from '../model/values.ts';
import { rule, type Finding } from './rule.ts';
import type { Drive } from '../storage-model.ts';

const LIMIT = /^(?:throttling\.|bps|iops)/;

/** Limits of one drive by their newer names: `bps-total`, `iops-read-max`, … */
function limits(drive: Drive): Map<string, { value: number; param: Param }> {
  const found = new Map<string, { value: number; param: Param }>();
  for (const param of drive.option.params) {
    if (!LIMIT.test(param.key)) continue;
    const name = modern(param.key);
    const value = readNumber(param.value);
    if (name !== undefined && value !== undefined) found.set(name, { value, param });
  }
  return found;
}

function modern(key: string): string | undefined {
  if (key.startsWith('throttling.')) return key.slice('throttling.'.length);
  const old = /^(bps|iops)(?:_(rd|wr))?(_max)?(_length)?$/.exec(key);
  if (old === null) return key === 'iops_size' ? 'iops-size' : undefined;
  const direction = old[2] === 'rd' ? 'read' : old[2] === 'wr' ? 'write' : 'total';
  return `${old[1]}-${direction}${old[3] === undefined ? '' : '-max'}${old[4] === undefined ? '' : '-length'}`;
}

export const throttleRules = [
  rule({
    id: 'T01',
    severity: 'error',
    qemu: ['bps/iops/max total values and read/write values cannot be used at the same time'],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const set = limits(drive);
        for (const kind of ['bps', 'iops']) {
          for (const max of ['', '-max']) {
            const total = set.get(`${kind}-total${max}`);
            const other = set.get(`${kind}-read${max}`) ?? set.get(`${kind}-write${max}`);
            if (total === undefined || other === undefined || total.value === 0 || other.value === 0)
              continue;
            yield {
              span: other.param.span,
              params: { total: total.param.key, other: other.param.key },
              related: [total.param.span],
            };
          }
        }
      }
    },
  }),
  rule({
    id: 'T02',
    severity: 'error',
    qemu: [
      'bps_max/iops_max require corresponding bps/iops values',
      'bps_max/iops_max cannot be lower than bps/iops',
      'burst length set without burst rate',
      'iops size requires an iops value to be set',
    ],
    *find({ model }): Iterable<Finding> {
      for (const drive of model.drives) {
        const set = limits(drive);
        for (const [name, { value, param }] of set) {
          const base = set.get(name.replace(/-max(?:-length)?$/, ''));
          const params = {
            key: param.key,
            value: String(value),
            base: name.replace(/-max(?:-length)?$/, ''),
          };
          if (name.endsWith('-max') && value > 0) {
            if (base === undefined || base.value === 0) yield { span: param.span, params };
            else if (value < base.value)
              yield { span: param.span, params, says: 1, variant: 'lower', related: [base.param.span] };
          } else if (name.endsWith('-max-length') && value > 1) {
            const max = set.get(name.replace(/-length$/, ''));
            if (max === undefined || max.value === 0)
              yield { span: param.span, params, says: 2, variant: 'length' };
          } else if (name === 'iops-size' && value > 0) {
            const any = ['total', 'read', 'write'].some((d) => (set.get(`iops-${d}`)?.value ?? 0) > 0);
            if (!any) yield { span: param.span, params, says: 3, variant: 'size' };
          }
        }
      }
    },
  }),
];
