/** Which tree belongs to which format; one without tables of its own shows its header. */
import { wait, type Steps } from '../../maybe.ts';
import type { FormatDriver } from '../format.ts';
import { Qcow2Driver } from '../formats/qcow2/driver.ts';
import { listed, named, type TreeNode } from './node.ts';
import { bochsTree } from './formats/bochs.ts';
import { cloopTree } from './formats/cloop.ts';
import { dmgTree } from './formats/dmg.ts';
import { luksTree } from './formats/luks.ts';
import { parallelsTree } from './formats/parallels.ts';
import { qcow2Tree } from './formats/qcow2.ts';
import { qcowTree } from './formats/qcow.ts';
import { qedTree } from './formats/qed.ts';
import { vdiTree } from './formats/vdi.ts';
import { vhdxTree } from './formats/vhdx.ts';
import { vmdkTree } from './formats/vmdk.ts';
import { vpcTree } from './formats/vpc.ts';
import { headerNode } from './header.ts';

/** Parts of a format, named as they stand in paths. */
type Parts = Record<string, TreeNode | undefined>;

const TREES: Readonly<Record<string, (format: FormatDriver) => Steps<Parts>>> = {
  vdi: vdiTree,
  qed: qedTree,
  vpc: vpcTree,
  parallels: parallelsTree,
  vhdx: vhdxTree,
  vmdk: vmdkTree,
  luks: luksTree,
  qcow: qcowTree,
  bochs: bochsTree,
  cloop: cloopTree,
  dmg: dmgTree,
};

/** The root: the whole file. */
export function* treeOf(format: FormatDriver): Steps<TreeNode> {
  const length = yield* wait(format.storage.size());
  return {
    label: 'file',
    owner: 'other',
    offset: 0,
    length,
    fields: listed([]),
    children: named(yield* partsOf(format)),
  };
}

function* partsOf(format: FormatDriver): Steps<Parts> {
  if (format instanceof Qcow2Driver) return yield* qcow2Tree(format.state);
  const tree = TREES[format.format];
  if (tree !== undefined) return yield* tree(format);
  const { header } = yield* wait(format.describe());
  return { header: headerNode(header) };
}
