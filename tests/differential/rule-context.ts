/** What the linter is told of the images that `makeImages` makes. */
import type { LintContext } from '../../engine/qemu/model.ts';

const SIZE = 64 * 1024 * 1024;
const raw = { format: 'raw', virtualSize: SIZE };
const qcow2 = { format: 'qcow2', virtualSize: SIZE };

export const context: LintContext = {
  version: '7.2',
  files: new Map<string, { format: string; virtualSize: number; backing?: string }>([
    ...['a.raw', 'b.raw', 'c.raw', 'odd.raw'].map((name) => [name, raw] as const),
    ...['a.qcow2', 'b.qcow2', 'c.qcow2', 'base.qcow2'].map((name) => [name, qcow2] as const),
    ['overlay.qcow2', { ...qcow2, backing: 'base.qcow2' }],
  ]),
};
