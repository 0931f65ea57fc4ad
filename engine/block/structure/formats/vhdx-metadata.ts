/** The metadata region: its table, and the items that the table names. */
import type { StructureField } from '../../../../contract/structure.ts';
import type { Steps } from '../../../maybe.ts';
import type { Region } from '../../formats/vhdx/header.ts';
import {
  METADATA_HEADER_BYTES,
  METADATA_TABLE_BYTES,
  metadataEntry,
  metadataTable,
  type VhdxMetadata,
} from '../../formats/vhdx/metadata.ts';
import type { Storage } from '../../storage/storage.ts';
import { headerNode } from '../header.ts';
import { named, type TreeNode } from '../node.ts';
import { readInside } from '../table.ts';

export function* metadataNode(
  storage: Storage,
  region: Region,
  metadata: VhdxMetadata,
): Steps<TreeNode | undefined> {
  const bytes = yield* readInside(storage, region.offset, METADATA_TABLE_BYTES);
  const table = metadataTable.parse(bytes, storage.name);
  const fields: StructureField[] = metadataTable.describe(table, region.offset);
  for (let index = 0; index < table.entry_count; index++) {
    const at = METADATA_HEADER_BYTES + index * metadataEntry.size;
    if (at + metadataEntry.size > bytes.length) break;
    const entry = metadataEntry.parse(bytes, storage.name, at);
    fields.push({
      name: `entry ${index}`,
      offset: region.offset + at,
      length: metadataEntry.size,
      value: entry.item_id,
      links: [{ to: 'host', offset: region.offset + entry.offset }],
    });
  }
  const node = headerNode(fields, { label: 'metadata', length: region.length });
  const items = headerNode(metadata.fields, { label: 'metadata-items' });
  return node && { ...node, children: named({ items }) };
}
