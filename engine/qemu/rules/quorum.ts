/** Quorum nodes: how many children, how many must agree. Source: block/quorum.c (`quorum_open`). */
import { setValue } from '../edit.ts';
import { paramAt } from '../model/tree.ts';
import { readBool, readNumber } from '../model/values.ts';
import { allNodes } from './blockdev.ts';
import { fix, rule, type Finding } from './rule.ts';

export const quorumRules = [
  rule({
    id: 'B14',
    severity: 'error',
    qemu: [
      "Parameter 'vote-threshold' expects a value >= 1",
      'threshold may not exceed children count',
      'blkverify=on can only be set if there are exactly two files and vote-threshold is 2',
      'rewrite-corrupted=on cannot be used with blkverify=on',
    ],
    *find({ model }): Iterable<Finding> {
      for (const { node } of allNodes(model)) {
        if (node.driver !== 'quorum') continue;
        const param = paramAt(node.tree, 'vote-threshold');
        const threshold = readNumber(param?.value);
        const count = node.children.filter((c) => c.role.startsWith('children.')).length;
        if (param === undefined || threshold === undefined || param.variable === true || count === 0)
          continue;
        const params = { threshold: param.value, children: String(count) };
        const span = param.valueSpan;
        const to = String(Math.max(1, Math.min(count, threshold)));
        const fixes = [fix('replace', { from: param.value, to }, setValue(node.option, param, to))];
        const pattern = paramAt(node.tree, 'read-pattern')?.value ?? 'quorum';
        const verify = pattern === 'quorum' && readBool(paramAt(node.tree, 'blkverify')?.value) === true;
        const rewrite = readBool(paramAt(node.tree, 'rewrite-corrupted')?.value) === true;
        if (threshold < 1) yield { span, params, says: 0, variant: 'least', fixes };
        else if (threshold > count) yield { span, params, says: 1, fixes };
        else if (verify && (count !== 2 || threshold !== 2))
          yield { span: paramAt(node.tree, 'blkverify')?.span ?? span, params, says: 2, variant: 'verify' };
        else if (verify && rewrite)
          yield {
            span: paramAt(node.tree, 'rewrite-corrupted')?.span ?? span,
            params,
            says: 3,
            variant: 'rewrite',
          };
      }
    },
  }),
];
