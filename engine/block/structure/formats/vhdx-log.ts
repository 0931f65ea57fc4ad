/** The log: a ring of entries, each beginning on a sector of 4 KiB. */
import { PlatterError } from '../../../errors.ts';
import { run, type Steps } from '../../../maybe.ts';
import type { StructureField } from '../../../../contract/structure.ts';
import { logDescriptor, logEntryHeader, LOG_SECTOR } from '../../formats/vhdx/log.ts';
import type { VhdxHeader } from '../../formats/vhdx/header.ts';
import type { Storage } from '../../storage/storage.ts';
import { indexed, type TreeNode } from '../node.ts';
import { readInside } from '../table.ts';
import { headerNode } from '../header.ts';

/** Descriptors of an entry that are shown: what stands in its first 64 KiB. */
const SHOWN = 65536;

export function logNode(storage: Storage, header: VhdxHeader): TreeNode | undefined {
  const { log_offset: offset, log_length: length } = header;
  if (length === 0) return undefined;
  return {
    label: 'log',
    owner: 'log',
    offset,
    length,
    children: indexed(Math.floor(length / LOG_SECTOR), (index) =>
      run(entryNode(storage, offset + index * LOG_SECTOR, index)),
    ),
  };
}

function* entryNode(storage: Storage, offset: number, index: number): Steps<TreeNode | undefined> {
  const head = yield* readInside(storage, offset, logEntryHeader.size);
  if (head.length < logEntryHeader.size || String.fromCharCode(...head.subarray(0, 4)) !== 'loge')
    return undefined;
  try {
    const values = logEntryHeader.parse(head, storage.name);
    const fields: StructureField[] = logEntryHeader.describe(values, offset);
    const bytes = yield* readInside(storage, offset, Math.min(SHOWN, values.entry_length));
    for (let count = 0; count < values.descriptor_count; count++) {
      const at = logEntryHeader.size + count * logDescriptor.size;
      if (at + logDescriptor.size > bytes.length) break;
      const descriptor = logDescriptor.parse(bytes, storage.name, at);
      fields.push({
        name: `${descriptor.signature} ${count}`,
        offset: offset + at,
        length: logDescriptor.size,
        value: String(descriptor.file_offset),
        say: {
          key: descriptor.signature === 'zero' ? 'log-zeroes' : 'log-data',
          params: { offset: descriptor.file_offset },
        },
        links: [{ to: 'host', offset: descriptor.file_offset }],
      });
    }
    return headerNode(fields, {
      label: 'log-entry',
      params: { index },
      owner: 'log',
      length: values.entry_length,
    });
  } catch (error) {
    // Old sectors of the ring hold anything.
    if (error instanceof PlatterError) return undefined;
    throw error;
  }
}
