/** dmg (UDIF): the trailer, the property list or resource fork with the block tables, and the chunks that they tell of. */
import type { StructureField, StructureLink } from '../../../../contract/structure.ts';
import type { Steps } from '../../../maybe.ts';
import type { FormatDriver } from '../../format.ts';
import { IGNORE, PLAIN, readDmg, ZERO_FILL, type Chunk } from '../../formats/dmg/header.ts';
import { headerNode } from '../header.ts';
import type { TreeNode } from '../node.ts';

export function* dmgTree({ storage }: FormatDriver): Steps<Record<string, TreeNode | undefined>> {
  const { trailer, chunks, fields } = yield* readDmg(storage);
  const {
    rsrc_fork_length: fork,
    rsrc_fork_offset: forkOffset,
    xml_offset: xml,
    xml_length: length,
  } = trailer;
  const table = fork > 0 ? { offset: forkOffset, length: fork } : { offset: xml, length };
  return {
    chunks: {
      label: 'chunks',
      owner: 'mapping',
      ...table,
      fields: {
        count: chunks.length,
        page: (start, limit) =>
          chunks.slice(start, start + limit).map((chunk, index) => showChunk(chunk, start + index, table)),
      },
    },
    header: headerNode(fields, {
      label: 'trailer',
      links: {
        xml_offset: [{ to: 'node', path: 'chunks' }],
        data_fork_offset: [{ to: 'host', offset: trailer.data_fork_offset }],
      },
    }),
  };
}

/** Their entries are base64 in a list, several to a line: the bytes of each are those of the whole list. */
function showChunk(chunk: Chunk, index: number, list: { offset: number; length: number }): StructureField {
  const { type, start: guest, length: bytes, offset } = chunk;
  const name = String(index);
  const value = `0x${type.toString(16).padStart(8, '0')}`;
  const here: StructureLink = { to: 'guest', offset: guest };
  if (type === ZERO_FILL || type === IGNORE) {
    return { ...list, name, value, say: { key: 'chunk-zero', params: { guest, bytes } }, links: [here] };
  }
  const key = type === PLAIN ? 'chunk-plain' : 'chunk-packed';
  return {
    ...list,
    name,
    value,
    say: { key, params: { guest, bytes, offset } },
    links: [here, { to: 'host', offset }],
  };
}
