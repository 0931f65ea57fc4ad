/** qcow2 (QEMU, docs/interop/qcow2.txt): header, extensions, both table trees, snapshots, bitmaps. */
import type { StructureLink } from '../../../../contract/structure.ts';
import type { Steps } from '../../../maybe.ts';
import { readLuks1 } from '../../formats/luks/header1.ts';
import { describe } from '../../formats/qcow2/describe.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { headerNode } from '../header.ts';
import { indexed, named, type TreeNode } from '../node.ts';
import { luks1Parts } from './luks.ts';
import { bitmapsNode } from './qcow2-bitmaps.ts';
import { extensionNode } from './qcow2-extensions.ts';
import { l1Node } from './qcow2-mapping.ts';
import { refcountTableNode } from './qcow2-refcounts.ts';
import { snapshotsNode } from './qcow2-snapshots.ts';

export function* qcow2Tree(state: Qcow2State): Steps<Record<string, TreeNode | undefined>> {
  const { header } = state;
  return {
    header: qcow2Header(state),
    extensions: extensionsNode(state),
    backing: backingName(state),
    l1: l1Node(state, {
      path: 'l1',
      offset: header.l1TableOffset,
      count: header.l1Size,
      active: true,
    }),
    refcounts: refcountTableNode(state),
    snapshots: snapshotsNode(state),
    bitmaps: bitmapsNode(state),
    crypto: yield* cryptoNode(state),
  };
}

/** The LUKS header in clusters of its own. */
function* cryptoNode(state: Qcow2State): Steps<TreeNode | undefined> {
  const { crypto } = state.extensions;
  if (crypto === undefined) return undefined;
  const region = state.encryption?.region;
  const parts = region && luks1Parts(yield* readLuks1(region), { base: crypto.offset, path: 'crypto/' });
  return {
    label: 'crypto',
    owner: 'header',
    offset: crypto.offset,
    length: crypto.length,
    ...(parts === undefined ? {} : { children: named(parts) }),
  };
}

function qcow2Header(state: Qcow2State): TreeNode | undefined {
  const { header } = state;
  const fields = describe(state).header.filter(
    ({ name, offset }) => offset < header.headerLength && name !== 'backing_file_name',
  );
  const node = (path: string): StructureLink[] => [{ to: 'node', path }];
  return headerNode(fields, {
    length: header.headerLength,
    links: {
      backing_file_offset: state.backingName === undefined ? undefined : node('backing'),
      l1_table_offset: header.l1Size === 0 ? undefined : node('l1'),
      refcount_table_offset: node('refcounts'),
      snapshots_offset: header.snapshotCount === 0 ? undefined : node('snapshots'),
    },
  });
}

function extensionsNode(state: Qcow2State): TreeNode | undefined {
  const { all } = state.extensions;
  if (all.length === 0) return undefined;
  const last = all[all.length - 1];
  const { offset } = all[0];
  return {
    label: 'extensions',
    owner: 'header',
    offset,
    length: last.offset + 8 + last.data.length - offset,
    children: indexed(all.length, (index) => extensionNode(state, all[index])),
  };
}

function backingName(state: Qcow2State): TreeNode | undefined {
  if (state.backingName === undefined) return undefined;
  const { backingFileOffset: offset, backingFileSize: length } = state.header;
  return headerNode([{ name: 'backing_file_name', offset, length, value: state.backingName }], {
    label: 'backing-name',
  });
}
