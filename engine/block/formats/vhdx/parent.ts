/** The parent of a differencing VHDX: the parent locator item ([MS-VHDX] 2.6.2.6). */
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import { FormatNode } from '../../access.ts';
import type { OpenContext } from '../../format.ts';
import type { BlockNode } from '../../node.ts';
import { checkFields } from '../shared/check-fields.ts';
import { guid, layout, u16, u32 } from '../shared/layout.ts';
import { VhdxDifferencingDriver } from './differencing.ts';
import { VhdxDriver } from './driver.ts';

export const VHDX_LOCATOR_TYPE = 'b04aefb7-d19e-4a81-b789-25b8e9445913';
export const locatorHeader = layout('little', { locator_type: guid, reserved: u16, key_value_count: u16 });
export const locatorEntry = layout('little', {
  key_offset: u32,
  value_offset: u32,
  key_length: u16,
  value_length: u16,
});

/** The parent as it was found: its name in the image, the open node, and why it could not be opened. */
export interface Parent {
  reference: string;
  node: BlockNode;
  error?: PlatterError;
}

/** Opens the parent through the gate. Throws `vhdx.no-parent`, `vhdx.parent-mismatch`, `vhdx.bad-field`. */
export function* openParent(locator: Uint8Array | undefined, context: OpenContext): Steps<Parent> {
  const { image } = context;
  const entries = locator === undefined ? new Map<string, string>() : locatorEntries(locator, image);
  const path =
    entries.get('relative_path') ?? entries.get('absolute_win32_path') ?? entries.get('volume_path');
  if (path === undefined || path === '') {
    throw new PlatterError('vhdx.no-parent', `"${image}" is a differencing disk and names no parent`, {
      image,
      field: 'parent locator',
    });
  }
  const reference = path.replaceAll('\\', '/').replace(/^(\.\/)+/, '');
  const opened = yield* wait(context.openBacking(reference, 'vhdx', 'parent'));
  const linkage = [entries.get('parent_linkage'), entries.get('parent_linkage2')].map((text) =>
    text?.replace(/[{}]/g, '').toLowerCase(),
  );
  const found = opened.node instanceof FormatNode ? dataIdentifier(opened.node) : undefined;
  if (found === undefined || linkage.includes(found))
    return { reference, node: opened.node, error: opened.error };
  yield* wait(opened.node.close());
  throw new PlatterError(
    'vhdx.parent-mismatch',
    `The parent of "${image}" holds the data ${found}, expected ${linkage[0]}`,
    {
      image,
      field: 'parent_linkage',
      value: found,
      expected: linkage[0],
      hint: 'The parent was replaced or changed: find the disk from which this one was made.',
    },
  );
}

function dataIdentifier(node: FormatNode): string | undefined {
  const { format } = node;
  if (format instanceof VhdxDriver || format instanceof VhdxDifferencingDriver) {
    return format.parts.section.header.data_write_guid;
  }
  return undefined;
}

function locatorEntries(locator: Uint8Array, image: string): Map<string, string> {
  const header = locatorHeader.parse(locator, image);
  const check = checkFields('vhdx', image);
  check.unsupported(
    'locator_type',
    header.locator_type,
    header.locator_type !== VHDX_LOCATOR_TYPE,
    VHDX_LOCATOR_TYPE,
  );
  const entries = new Map<string, string>();
  const string = (offset: number, length: number): string => {
    check.field(
      'parent locator',
      `${length} bytes at ${offset}`,
      offset + length <= locator.length,
      'strings within the item',
    );
    return new TextDecoder('utf-16le').decode(locator.subarray(offset, offset + length));
  };
  for (let index = 0; index < header.key_value_count; index++) {
    const entry = locatorEntry.parse(locator, image, locatorHeader.size + index * locatorEntry.size);
    entries.set(string(entry.key_offset, entry.key_length), string(entry.value_offset, entry.value_length));
  }
  return entries;
}
