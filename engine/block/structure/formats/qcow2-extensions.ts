/** One header extension: its type, its length and what its data says. */
import type { StructureField } from '../../../../contract/structure.ts';
import { EXTENSION } from '../../formats/qcow2/constants.ts';
import type { HeaderExtension } from '../../formats/qcow2/extensions.ts';
import type { Qcow2State } from '../../formats/qcow2/state.ts';
import { listed, type TreeNode } from '../node.ts';
import { hex } from '../table.ts';

const LABELS: readonly [type: number, label: string][] = [
  [EXTENSION.backingFormat, 'ext-backing-format'],
  [EXTENSION.featureNames, 'ext-feature-names'],
  [EXTENSION.bitmaps, 'ext-bitmaps'],
  [EXTENSION.cryptoHeader, 'ext-crypto'],
  [EXTENSION.dataFile, 'ext-data-file'],
];
const FEATURE_RECORD = 48;
const FEATURE_KINDS = ['incompatible', 'compatible', 'autoclear'];

export function extensionNode(state: Qcow2State, extension: HeaderExtension): TreeNode {
  const { type, offset, data } = extension;
  const label = LABELS.find(([known]) => known === type)?.[1];
  return {
    label: label ?? 'ext-unknown',
    params: { type: hex(type) },
    owner: 'header',
    offset,
    length: 8 + data.length,
    fields: listed([
      { name: 'type', offset, length: 4, value: hex(type) },
      { name: 'length', offset: offset + 4, length: 4, value: String(data.length) },
      ...dataFields(state, extension),
    ]),
  };
}

function dataFields(state: Qcow2State, { type, offset, data }: HeaderExtension): StructureField[] {
  const base = offset + 8;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (type === EXTENSION.featureNames) return featureNames(data, base);
  if (type === EXTENSION.bitmaps && data.length >= 24) {
    return [
      { name: 'nb_bitmaps', offset: base, length: 4, value: String(view.getUint32(0)) },
      { name: 'reserved', offset: base + 4, length: 4, value: String(view.getUint32(4)) },
      { name: 'bitmap_directory_size', offset: base + 8, length: 8, value: String(view.getBigUint64(8)) },
      {
        name: 'bitmap_directory_offset',
        offset: base + 16,
        length: 8,
        value: String(view.getBigUint64(16)),
        links: state.extensions.bitmaps?.count ? [{ to: 'node', path: 'bitmaps' }] : undefined,
      },
    ];
  }
  if (type === EXTENSION.cryptoHeader && data.length >= 16) {
    return [
      {
        name: 'offset',
        offset: base,
        length: 8,
        value: String(view.getBigUint64(0)),
        links: [{ to: 'node', path: 'crypto' }],
      },
      { name: 'length', offset: base + 8, length: 8, value: String(view.getBigUint64(8)) },
    ];
  }
  if (data.length === 0) return [];
  const text = type === EXTENSION.backingFormat || type === EXTENSION.dataFile;
  const value = text ? new TextDecoder().decode(data) : `${data.length} bytes`;
  return [{ name: 'data', offset: base, length: data.length, value }];
}

function featureNames(data: Uint8Array, base: number): StructureField[] {
  const fields: StructureField[] = [];
  for (let at = 0; at + FEATURE_RECORD <= data.length; at += FEATURE_RECORD) {
    const kind = FEATURE_KINDS[data[at]] ?? String(data[at]);
    const name = new TextDecoder().decode(data.subarray(at + 2, at + FEATURE_RECORD)).replace(/\0.*$/s, '');
    fields.push({
      name: `${kind} ${data[at + 1]}`,
      offset: base + at,
      length: FEATURE_RECORD,
      value: name,
      say: { key: 'feature-name', params: { kind, bit: data[at + 1] } },
    });
  }
  return fields;
}
