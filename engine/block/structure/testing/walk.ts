/** For tests: every node of an image with all its fields. */
import type { StructureField, StructureNode } from '../../../../contract/structure.ts';
import type { FormatNode } from '../../access.ts';
import { structureChildren, structureFields } from '../structure.ts';

export interface WalkedNode {
  node: StructureNode;
  fields: StructureField[];
}

/** At most `most` nodes and fields in all. */
export async function walk(image: FormatNode, most = 200_000): Promise<WalkedNode[]> {
  const found: WalkedNode[] = [];
  const paths = [''];
  let left = most;
  while (paths.length > 0 && left > 0) {
    const path = paths.pop() as string;
    for (let start: number | null = 0; start !== null && left > 0;) {
      const page = await structureChildren(image, path, start, 500);
      start = page.next;
      for (const node of page.nodes) {
        const fields: StructureField[] = [];
        while (fields.length < node.fieldCount && left > 0) {
          const { fields: more, total } = await structureFields(image, node.path, fields.length, 1000);
          if (more.length === 0 || total !== node.fieldCount)
            throw new Error(`fields of ${node.path} end early`);
          fields.push(...more);
          left -= more.length;
        }
        found.push({ node, fields });
        left--;
        if (node.childCount > 0) paths.push(node.path);
      }
    }
  }
  return found;
}
